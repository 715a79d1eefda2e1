
pub mod synth;
