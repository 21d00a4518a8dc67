//! The text of one level, kept in the node itself if it is short.

/// Longest text kept without memory of its own; with it, a label is 24 bytes.
const INLINE: usize = 22;

/// The text of a level.
#[derive(Clone, Debug)]
pub(super) enum Label {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Box<[u8]>),
}

impl Label {
    pub(super) const EMPTY: Self = Self::Inline {
        len: 0,
        bytes: [0; INLINE],
    };

    pub(super) fn new(text: &str) -> Self {
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(to), Ok(len)) => {
                to.copy_from_slice(text.as_bytes());
                Self::Inline { len, bytes }
            }
            _ => Self::Heap(text.as_bytes().into()),
        }
    }

    pub(super) fn is(&self, text: &str) -> bool {
        let held = match self {
            Self::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Heap(bytes) => bytes,
        };
        held == text.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long() {
        assert_eq!(size_of::<Label>(), 24);
        for len in [0, 1, 21, 22, 23, 300] {
            let text = "x".repeat(len);
            let label = Label::new(&text);
            assert!(label.is(&text));
            assert!(!label.is(&format!("{text}x")));
            assert_eq!(matches!(label, Label::Inline { .. }), len <= INLINE);
        }
    }
}
