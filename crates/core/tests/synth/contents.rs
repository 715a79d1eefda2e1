//! probe
#[test]
fn probe() {
    for l in super::run(1, Some(40_000), 80) {
        std::hint::black_box(l);
    }
}
