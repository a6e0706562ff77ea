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

    /// Small documents have about so many different texts.
    const FEW: usize = 28;

    /// So many texts are remembered before it starts anew: what repeats is soon known again, and a document of texts that
    /// never repeat costs no table that outgrows the processor's caches.
    const MOST: usize = 1 << 12;

    /// The text, in memory that it shares with its equals.
    pub fn intern(&mut self, text: &str) -> Str {
        if text.len() > Self::LONGEST {
            return Str::from(text);
        }
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        match self.0.len() {
            0 => self.0.reserve(Self::FEW),
            Self::MOST => self.0.clear(),
            _ => {}
        }
        let new = Str::from(text);
        self.0.insert(new.clone());
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_shared_and_what_does_not_is_forgotten() {
        let mut interner = Interner::default();
        let first = interner.intern("kind");
        assert!(Str::ptr_eq(&first, &interner.intern("kind")));
        for number in 0..Interner::MOST {
            interner.intern(&number.to_string());
        }
        assert!(interner.0.len() <= Interner::MOST);
        let again = interner.intern("kind");
        assert!(first == again && Str::ptr_eq(&again, &interner.intern("kind")));
    }
}
