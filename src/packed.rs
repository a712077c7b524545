//! Several short strings in one allocation, for types of which a million values are held.

/// `N` optional strings, stored one after another in one buffer.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Packed<const N: usize> {
    text: Box<str>,
    ends: [u32; N],
    present: u16,
}

impl<const N: usize> Packed<N> {
    pub(crate) fn new(strings: [Option<&str>; N]) -> Self {
        const { assert!(N <= 16) };
        let mut text = String::with_capacity(strings.iter().flatten().map(|string| string.len()).sum());
        let mut ends = [0; N];
        let mut present = 0;
        for (index, string) in strings.iter().enumerate() {
            if let Some(string) = string {
                text.push_str(string);
                present |= 1 << index;
            }
            // Text past 4 GiB is cut off; a wrapped offset would return text of another string.
            ends[index] = u32::try_from(text.len()).unwrap_or(u32::MAX);
        }
        Self { text: text.into(), ends, present }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        if self.present & (1 << index) == 0 {
            return None;
        }
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        self.text.get(start..self.ends[index] as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_string_is_not_an_empty_one() {
        let packed = Packed::new([Some("one"), None, Some(""), Some("four")]);
        let strings: Vec<_> = (0..4).map(|index| packed.get(index)).collect();
        assert_eq!(strings, [Some("one"), None, Some(""), Some("four")]);
        assert!(packed != Packed::new([Some("one"), Some(""), None, Some("four")]));
    }
}
