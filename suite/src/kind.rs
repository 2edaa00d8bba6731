//! Elements of a case and the order that they are sorted in, as the word that names them:
//!
//! ```text
//! TYPE[+VALUE][@numeric|@FIRST..PAST][@descending]
//! u32   u32+u32   u64+index   u64@0..32   f32+index@numeric@descending
//! ```
//!
//! A value of `u32` goes with its key; an `index` is made by the sort, which is an argsort.
//! Without more words the order is ascending, by all bits, of floats the total one. Each order
//! has one name.

use host::gpu::{KeyType, Order, Payload};

use crate::error::{Error, unknown};

/// The word for the index of a key.
const INDEX: &str = "index";
/// Orders that are asked for by name, and what bits look like.
const ORDERS: [&str; 3] = ["numeric (of floats)", "8..24 (bits of the key)", "descending"];

/// Elements and their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Type of the keys.
    pub key: KeyType,
    /// The payload of each key.
    pub payload: Payload,
    /// The order.
    pub order: Order,
    /// Bits that are sorted by.
    bits: u32,
}

/// The elements of a kind: of `u32+index@descending`, `u32+index`.
pub fn elements(kind: &str) -> &str {
    kind.split_once('@').map_or(kind, |(elements, _)| elements)
}

/// The words of a kind's order.
fn order_words(kind: &str) -> impl Iterator<Item = &str> {
    kind.split('@').skip(1)
}

/// The words by which a peer says which orders it sorts in: `bits` of any range of them.
pub fn orders(kind: &str) -> impl Iterator<Item = &str> {
    order_words(kind).map(|word| if word.contains("..") { "bits" } else { word })
}

impl Kind {
    /// Reads a kind; `known` are the names of elements that there are.
    ///
    /// # Errors
    /// A word that is not known, or of another type's order.
    pub fn read(text: &str, known: &[&str]) -> Result<Self, Error> {
        let elements = elements(text);
        let no_type = || unknown("type", elements, known);
        if !known.contains(&elements) {
            return Err(no_type());
        }
        let (key, value) = elements.split_once('+').unwrap_or((elements, ""));
        let key = KeyType::ALL.iter().find(|of| of.name == key).ok_or_else(no_type)?;
        let mut words = order_words(text).peekable();
        let (mut order, mut bits) = (Order::ascending(), key.bits);
        if let Some((first, past)) = words.peek().and_then(|word| range(word, key.bits)) {
            (order, bits) = (order.bits(first..past), past - first);
            words.next();
        } else if key.is_float() && words.next_if_eq(&"numeric").is_some() {
            order = order.numeric();
        }
        if words.next_if_eq(&"descending").is_some() {
            order = order.downwards();
        }
        let payload = match value {
            "" => Payload::None,
            INDEX => Payload::Index,
            _ => Payload::of(true),
        };
        match words.next() {
            None => Ok(Self { key: *key, payload, order, bits }),
            Some(word) => Err(unknown(&format!("order of {elements}"), word, &ORDERS)),
        }
    }

    /// Bytes of a key.
    fn key_bytes(&self) -> usize {
        self.key.bits as usize / 8
    }

    /// Bytes of an element.
    pub fn bytes(&self) -> usize {
        self.key_bytes() + if self.payload == Payload::None { 0 } else { size_of::<u32>() }
    }

    /// Bytes that every sort of an element reads and writes: an index is not read.
    pub fn least_moved(&self) -> usize {
        match self.payload {
            Payload::Index => self.key_bytes() + self.bytes(),
            _ => 2 * self.bytes(),
        }
    }

    /// Bytes that an element costs a radix sort by 8-bit digits: one read to count them, and a
    /// read and a write for each. None of values, whose codes are sorted in place of the keys.
    pub fn pass_moved(&self) -> Option<usize> {
        let passes = self.bits.div_ceil(8) as usize;
        let unread = 2 * self.bytes() - self.least_moved();
        (!self.order.is_numeric(self.key))
            .then_some(self.key_bytes() + passes * 2 * self.bytes() - unread)
    }
}

/// Bits of a key of `width` of them, the first and one past the last, but not all.
fn range(word: &str, width: u32) -> Option<(u32, u32)> {
    let (first, past) = word.split_once("..")?;
    let (first, past): (u32, u32) = (first.parse().ok()?, past.parse().ok()?);
    let is_range = first < past && past <= width && past - first < width;
    (is_range && format!("{first}..{past}") == word).then_some((first, past))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = ["u32", "f32", "u64", "u32+u32", "f32+index"];

    fn read(text: &str) -> Result<Kind, Error> {
        Kind::read(text, &KNOWN)
    }

    #[test]
    fn words_are_read_in_one_order() {
        for (text, payload, order) in [
            ("u32", Payload::None, Order::ascending()),
            ("u32+u32@descending", Payload::Value(4), Order::descending()),
            ("f32+index@numeric", Payload::Index, Order::ascending().numeric()),
            ("f32@numeric@descending", Payload::None, Order::descending().numeric()),
            ("u64@0..32", Payload::None, Order::ascending().bits(0..32)),
            ("u32@8..24@descending", Payload::None, Order::descending().bits(8..24)),
        ] {
            let kind = read(text).unwrap();
            assert_eq!((kind.payload, kind.order), (payload, order), "{text}");
        }
    }

    #[test]
    fn a_word_that_is_none_is_named_with_those_that_there_are() {
        for text in [
            "u32@numeric",
            "u32@0..32",
            "u32@8..8",
            "u32@9..3",
            "u32@0..33",
            "u32@00..8",
            "u32@",
            "u32@descending@8..24",
            "u32@descending@descending",
            "f32@numeric@0..8",
            "u32@up",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with("order of ") && error.contains("8..24 (bits"), "{error}");
        }
        for text in ["u33", "u8", "u32+index", "", "@descending"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with("type ") && error.contains("there are u32, f32"), "{error}");
        }
    }

    #[test]
    fn peers_are_asked_for_orders_by_word() {
        let words = |text| orders(text).collect::<Vec<_>>();
        assert_eq!(words("u32+u32"), [] as [&str; 0]);
        assert_eq!(words("u64@0..32@descending"), ["bits", "descending"]);
        assert_eq!(elements("f32+index@numeric"), "f32+index");
    }

    #[test]
    fn bytes_are_those_of_the_digits_sorted_by() {
        let moved = |text| {
            let kind = read(text).unwrap();
            (kind.bytes(), kind.least_moved(), kind.pass_moved())
        };
        assert_eq!(moved("u32"), (4, 8, Some(4 + 4 * 8)));
        assert_eq!(moved("u32+u32"), (8, 16, Some(4 + 4 * 16)));
        assert_eq!(moved("u64@0..32"), (8, 16, Some(8 + 4 * 16)));
        assert_eq!(moved("f32+index"), (8, 12, Some(4 + 4 * 16 - 4)));
        assert_eq!(moved("f32@numeric"), (4, 8, None));
    }
}
