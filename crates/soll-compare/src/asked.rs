//! How much a comparison is to look at: a sample in the suite, or what `cargo xtask differential` asks for.

/// What a run is asked to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// How many made-up cases: `SOLL_DIFFERENTIAL_CASES`.
    pub cases: u64,
    /// What the cases are made from: `SOLL_DIFFERENTIAL_SEED`.
    pub seed: u64,
    /// Whether the first difference is enough, as `cargo xtask faults` wants: `SOLL_DIFFERENTIAL_FIRST`.
    pub first_only: bool,
}

impl Asked {
    /// What the environment asks for, else a sample of so many cases. Prints how to have the same again.
    #[allow(clippy::print_stderr, reason = "a comparison that fails is repeated by its seed")]
    pub fn or_sample(cases: u64) -> Self {
        let asked = Self {
            cases: number("SOLL_DIFFERENTIAL_CASES").unwrap_or(cases),
            seed: number("SOLL_DIFFERENTIAL_SEED").unwrap_or(0),
            first_only: std::env::var_os("SOLL_DIFFERENTIAL_FIRST").is_some(),
        };
        eprintln!("{} cases from SOLL_DIFFERENTIAL_SEED={}", asked.cases, asked.seed);
        asked
    }
}

/// A number of the environment, if it is set.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
