//! Texts that repeat.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use crate::Str;

/// Shares the memory of short texts that repeat within one document.
#[derive(Debug, Default)]
pub struct Interner(HashSet<Str, RandomState>);

impl Interner {
    /// Texts longer than this are not worth looking up.
    const LONGEST: usize = 40;

    /// The text, in memory that it shares with its equals.
    pub fn intern(&mut self, text: &str) -> Str {
        if text.len() > Self::LONGEST {
            return Str::from(text);
        }
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new = Str::from(text);
        self.0.insert(new.clone());
        new
    }
}
