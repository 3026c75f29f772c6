//! How many different users: exact while they are few, an estimate in constant space when they are many.

/// Up to how many users are counted exactly.
const EXACT_MAX: usize = 64;

/// Registers of the estimate; its standard error is 1.04 / √1024, about 3 %.
const REGISTERS: usize = 1024;

const REGISTER_BITS: u32 = REGISTERS.ilog2();

const FORM_EXACT: u8 = 1;
const FORM_REGISTERS: u8 = 2;

/// A set of hashed users that merges: what two lanes counted apart is counted once together.
///
/// As bytes: the form (1 or 2), then either the sorted hashes, 8 bytes each, little endian, or 1024 registers of one byte (HyperLogLog).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSketch(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Exact(Vec<u64>),
    Registers(Box<[u8; REGISTERS]>),
}

impl Default for UserSketch {
    fn default() -> UserSketch {
        UserSketch(Form::Exact(Vec::new()))
    }
}

impl UserSketch {
    /// Reads what [`UserSketch::to_bytes`] wrote. Never fails: bytes that it did not write are an empty sketch.
    pub fn from_bytes(bytes: &[u8]) -> UserSketch {
        let mut sketch = UserSketch::default();
        match bytes.split_first() {
            Some((&FORM_EXACT, hashes)) if hashes.len() % 8 == 0 && hashes.len() <= EXACT_MAX * 8 => {
                for hash in hashes.as_chunks::<8>().0 {
                    sketch.insert(u64::from_le_bytes(*hash));
                }
            }
            Some((&FORM_REGISTERS, registers)) => {
                if let Ok(registers) = <[u8; REGISTERS]>::try_from(registers) {
                    sketch.0 = Form::Registers(Box::new(registers));
                }
            }
            _ => {}
        }
        sketch
    }

    /// The sketch as bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.0 {
            Form::Exact(hashes) => {
                let mut bytes = Vec::with_capacity(1 + hashes.len() * 8);
                bytes.push(FORM_EXACT);
                hashes.iter().for_each(|hash| bytes.extend_from_slice(&hash.to_le_bytes()));
                bytes
            }
            Form::Registers(registers) => {
                let mut bytes = Vec::with_capacity(1 + REGISTERS);
                bytes.push(FORM_REGISTERS);
                bytes.extend_from_slice(registers.as_slice());
                bytes
            }
        }
    }

    /// Whether this user is known to be among them: while they are few it is exact, later nobody can say.
    pub fn holds(&self, hash: u64) -> bool {
        matches!(&self.0, Form::Exact(hashes) if hashes.binary_search(&hash).is_ok())
    }

    /// Adds a user; says whether that changed anything.
    pub fn insert(&mut self, hash: u64) -> bool {
        match &mut self.0 {
            Form::Exact(hashes) => match hashes.binary_search(&hash) {
                Ok(_) => false,
                Err(at) if hashes.len() < EXACT_MAX => {
                    hashes.insert(at, hash);
                    true
                }
                Err(_) => {
                    let mut registers = Box::new([0; REGISTERS]);
                    for known in hashes.iter() {
                        raise(&mut registers, *known);
                    }
                    raise(&mut registers, hash);
                    self.0 = Form::Registers(registers);
                    true
                }
            },
            Form::Registers(registers) => raise(registers, hash),
        }
    }

    /// Adds all users of another sketch; says whether that changed anything.
    pub fn merge(&mut self, other: &UserSketch) -> bool {
        match (&mut self.0, &other.0) {
            (_, Form::Exact(hashes)) => hashes.iter().fold(false, |changed, hash| self.insert(*hash) | changed),
            (Form::Registers(mine), Form::Registers(theirs)) => {
                let mut changed = false;
                for (mine, theirs) in mine.iter_mut().zip(theirs.iter()) {
                    changed |= *theirs > *mine;
                    *mine = (*mine).max(*theirs);
                }
                changed
            }
            (Form::Exact(hashes), Form::Registers(theirs)) => {
                let hashes = std::mem::take(hashes);
                self.0 = Form::Registers(theirs.clone());
                for hash in hashes {
                    self.insert(hash);
                }
                true
            }
        }
    }

    /// How many users, exactly or about.
    pub fn estimate(&self) -> u32 {
        let registers = match &self.0 {
            Form::Exact(hashes) => return hashes.len() as u32,
            Form::Registers(registers) => registers,
        };
        let size = REGISTERS as f64;
        // 2 to the power of minus the register: its exponent as it is stored, for a power would be computed a thousand times.
        let sum: f64 = registers.iter().map(|register| f64::from_bits((1023 - u64::from(*register)) << 52)).sum();
        let raw = 0.7213 / (1.0 + 1.079 / size) * size * size / sum;
        let zeros = registers.iter().filter(|register| **register == 0).count();
        // Below 2.5 times the registers counting the empty ones is the better estimate.
        let estimate = if raw <= 2.5 * size && zeros > 0 { size * (size / zeros as f64).ln() } else { raw };
        (estimate.round() as u32).max(EXACT_MAX as u32 + 1)
    }

    /// Whether [`UserSketch::estimate`] is the true number.
    pub fn is_exact(&self) -> bool {
        matches!(self.0, Form::Exact(_))
    }
}

/// Raises the hash's register to the number of zeros that its other bits begin with, and one.
fn raise(registers: &mut [u8; REGISTERS], hash: u64) -> bool {
    let index = (hash >> (64 - REGISTER_BITS)) as usize;
    let rank = ((hash << REGISTER_BITS).leading_zeros().min(64 - REGISTER_BITS) + 1) as u8;
    let is_higher = rank > registers[index];
    registers[index] = registers[index].max(rank);
    is_higher
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn of(users: std::ops::Range<u64>) -> UserSketch {
        let mut sketch = UserSketch::default();
        for user in users {
            sketch.insert(xxh3_64(&user.to_le_bytes()));
        }
        sketch
    }

    #[test]
    fn few_users_are_counted_exactly() {
        let sketch = of(0..64);
        assert!(sketch.is_exact());
        assert_eq!(sketch.estimate(), 64);
    }

    #[test]
    fn many_users_are_counted_within_a_tenth() {
        for count in [65, 500, 2_000, 5_000, 100_000_u64] {
            let estimate = f64::from(of(0..count).estimate());
            let error = (estimate - count as f64).abs() / count as f64;
            assert!(error < 0.1, "{count} users were estimated as {estimate}");
        }
    }

    #[test]
    fn the_same_user_changes_nothing() {
        let mut sketch = of(0..10);
        assert!(!sketch.insert(xxh3_64(&3_u64.to_le_bytes())));
        assert!(!sketch.merge(&of(2..7)));
        assert!(sketch.merge(&of(2..12)));
    }

    #[test]
    fn bytes_of_something_else_are_an_empty_sketch() {
        for bytes in [&[][..], &[9], &[1, 2, 3], &[2, 0, 0]] {
            assert_eq!(UserSketch::from_bytes(bytes), UserSketch::default());
        }
    }

    proptest! {
        #[test]
        fn merging_is_the_same_in_any_order_and_as_inserting(a in 0_u64..300, b in 0_u64..300, length in 0_u64..200) {
            let (left, right) = (of(a..a + length), of(b..b + length));
            let mut one = left.clone();
            one.merge(&right);
            let mut other = right.clone();
            other.merge(&left);
            prop_assert_eq!(&one, &other);
            prop_assert_eq!(&UserSketch::from_bytes(&one.to_bytes()), &one);
        }
    }
}
