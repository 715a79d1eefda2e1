//! The command line, the same for every peer.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

pub struct Options {
    pub file: PathBuf,
    pub ledgers: usize,
    pub repeat: usize,
    pub minimum: Duration,
    pub step: bool,
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            file: PathBuf::new(),
            ledgers: 0,
            repeat: 5,
            minimum: Duration::from_millis(100),
            step: false,
        };
        while let Some(flag) = args.next() {
            let mut value = || args.next().ok_or(format!("{flag} needs a value"));
            match flag.as_str() {
                "--file" => options.file = value()?.into(),
                "--ledgers" => options.ledgers = value()?.parse()?,
                "--repeat" => options.repeat = value()?.parse()?,
                "--minimum-ms" => options.minimum = Duration::from_millis(value()?.parse()?),
                "--step" => options.step = true,
                _ => return Err(format!("no such flag: {flag}").into()),
            }
        }
        Ok(options)
    }
}
