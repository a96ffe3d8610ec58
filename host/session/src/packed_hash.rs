//! A hasher for types that derive `Hash` and consist of many small numbers, such as queries.

use std::hash::{BuildHasher, Hasher};

/// Builds hashers that pack small numbers before hashing them.
///
/// Most of a query is discriminants, lengths and indexes, which `derive(Hash)` writes one by one in
/// their full width: hashing each took two thirds of the time of finding a plan. Everything is
/// still hashed: texts and large numbers in their order, and small numbers in theirs, with a mark
/// for each large one. The underlying hasher must distinguish where texts end: foldhash includes
/// the length of each write.
#[derive(Debug, Clone)]
pub(crate) struct PackedHashBuilder<S>(pub(crate) S);

impl<S: BuildHasher<Hasher: Clone>> BuildHasher for PackedHashBuilder<S> {
    type Hasher = PackedHasher<S::Hasher>;

    fn build_hasher(&self) -> Self::Hasher {
        PackedHasher { inner: self.0.build_hasher(), word: 0, bits: 0 }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct PackedHasher<H> {
    inner: H,
    /// Small numbers that are not hashed yet, the latest in the lowest bits.
    word: u64,
    bits: u32,
}

impl<H: Hasher> PackedHasher<H> {
    #[inline]
    fn add<const BITS: u32>(&mut self, number: u64) {
        if self.bits + BITS > u64::BITS {
            self.inner.write_u64(self.word);
            (self.word, self.bits) = (0, 0);
        }
        self.word = (self.word << BITS) | number;
        self.bits += BITS;
    }

    /// Not inlined: the rest would be a third slower with it.
    #[cold]
    #[inline(never)]
    fn add_large<const BITS: u32>(&mut self, mark: u64, number: u64) {
        self.add::<BITS>(mark);
        self.inner.write_u64(number);
    }
}

impl<H: Hasher + Clone> Hasher for PackedHasher<H> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.inner.write(bytes);
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.add::<8>(number.into());
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        match u16::try_from(number) {
            Ok(small) if small != u16::MAX => self.add::<16>(small.into()),
            _ => self.add_large::<16>(u16::MAX.into(), number.into()),
        }
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        match u8::try_from(number) {
            Ok(small) if small != u8::MAX => self.add::<8>(small.into()),
            _ => self.add_large::<8>(u8::MAX.into(), number as u64),
        }
    }

    #[inline]
    fn write_isize(&mut self, number: isize) {
        match u8::try_from(number) {
            Ok(small) if small != u8::MAX => self.add::<8>(small.into()),
            _ => self.add_large::<8>(u8::MAX.into(), number.cast_unsigned() as u64),
        }
    }

    fn finish(&self) -> u64 {
        let mut whole = self.inner.clone();
        whole.write_u64(self.word);
        whole.write_u32(self.bits);
        whole.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use foldhash::SharedSeed;
    use foldhash::quality::SeedableRandomState;

    use super::*;

    fn builder() -> PackedHashBuilder<SeedableRandomState> {
        static SHARED: SharedSeed = SharedSeed::from_u64(1);
        PackedHashBuilder(SeedableRandomState::with_seed(2, &SHARED))
    }

    #[test]
    fn whatever_differs_in_one_number_or_letter_has_another_hash() {
        let builder = builder();
        let base =
            (vec![0_u8; 20], vec![0_u32; 20], [0_isize; 20], String::from("abc"), vec![false; 300]);
        let mut seen = HashSet::from([builder.hash_one(&base)]);
        let mut check = |other: &(Vec<u8>, Vec<u32>, [isize; 20], String, Vec<bool>)| {
            assert_ne!(other, &base);
            assert!(seen.insert(builder.hash_one(other)), "seen before: {other:?}");
        };
        for place in 0..20 {
            for number in [1, 255, 256, 65_535, 65_536, u32::MAX] {
                let mut other = base.clone();
                other.1[place] = number;
                check(&other);
            }
            for number in [1, -1, 255, 256, isize::MAX] {
                let mut other = base.clone();
                other.2[place] = number;
                check(&other);
            }
            let mut other = base.clone();
            other.0[place] = 1;
            check(&other);
        }
        for text in ["", "ab", "abd", "abcd"] {
            check(&(base.0.clone(), base.1.clone(), base.2, text.into(), base.4.clone()));
        }
        for length in [0, 1, 255, 256, 299, 301] {
            check(&(base.0.clone(), base.1.clone(), base.2, base.3.clone(), vec![false; length]));
        }
    }

    #[test]
    fn what_stands_in_another_place_has_another_hash() {
        let builder = builder();
        let small_and_large = |one: u32, other: u32| builder.hash_one((one, other));
        assert_ne!(small_and_large(5, 70_000), small_and_large(70_000, 5));
        assert_ne!(builder.hash_one((5_usize, 300_usize)), builder.hash_one((300_usize, 5_usize)));
        assert_ne!(builder.hash_one((5_isize, -1_isize)), builder.hash_one((-1_isize, 5_isize)));
        assert_ne!(builder.hash_one(("ab", "c")), builder.hash_one(("a", "bc")));
    }

    #[test]
    fn what_is_equal_has_the_same_hash() {
        let builder = builder();
        let one = (String::from("abc"), vec![1_u32, 70_000], Some(-1_isize));
        assert_eq!(builder.hash_one(&one), builder.hash_one(one.clone()));
    }
}
