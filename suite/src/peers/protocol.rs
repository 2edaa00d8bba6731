//! The protocol between this program and a peer, version 2.
//!
//! A peer greets with one line, then answers each request with one. A greeting and an
//! answer are JSON objects, so that more fields may come; a request is words, so that
//! a peer in any language reads it without a library:
//!
//! | request | what the peer does | answer |
//! |---|---|---|
//! | `load KIND N FOLDER` | reads N keys from `FOLDER/keys`, of pairs the values from `FOLDER/values`, and of segments 32-bit offsets from `FOLDER/offsets`, little-endian | `{"loaded":N,"variants":[{"name":V},..]}` |
//! | `run V COUNT` | overwrites its last result, sorts COUNT times by variant V | `{"times_ms":[..]}`, by events |
//! | `end_to_end COUNT` | the same from and to host memory | `{"times_ms":[..]}`, by the host's clock |
//! | `save FOLDER` | writes its last result to files of the same names there | `{"saved":true}` |
//! | `quit` | ends; so it does at the end of its input | none |
//!
//! A kind is a type of the greeting, and words of the order that it is to be sorted in, if it
//! greets with them ([`kind`](mod@crate::kind)): `u32+u32`, `u64@0..32`, `f32@numeric@descending`.
//! Values of pairs are indices, so that of a `u32+index` a peer may take either file.
//!
//! A variant is a way to call the peer's library: there is one at least, and which
//! there are may depend on what is loaded. `{"error":"why"}` answers what cannot be
//! done. Lines before the greeting that are not of the protocol are passed over: an
//! interpreter may print them. The greeting of a peer that cannot run here is
//! `{"protocol":2,"skipped":"why"}`, after which it ends.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The version of the protocol that this program speaks.
pub const PROTOCOL: u64 = 2;

/// How a peer orders floats that are equal or not numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Floats {
    /// By the total order of the bits: -NaN, numbers with -0 before +0, NaN.
    Total,
    /// As `Total`, but -0 and +0 are equal.
    ZerosEqual,
    /// Numbers by value with -0 and +0 equal, then all that are none.
    NanLast,
}

/// Greeting of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Greeting {
    /// Its name: `cub`.
    pub peer: String,
    /// Version of the library it measures: `3.0.1`.
    pub peer_version: String,
    /// Product name of the GPU it runs on.
    pub device: String,
    /// How it orders floats: by one of these, which its library leaves open.
    pub orders: Vec<Floats>,
    /// Names of the types it sorts.
    pub types: Vec<String>,
    /// Orders that it sorts in beside the ascending one of all bits: `descending`, `bits`,
    /// `numeric`.
    #[serde(default)]
    pub sorts: Vec<String>,
    /// True if it answers `end_to_end`.
    #[serde(default)]
    pub end_to_end: bool,
    /// True if it sorts the segments of an input by themselves.
    #[serde(default)]
    pub segments: bool,
}

/// The first line of a process that speaks the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First<T> {
    /// It is ready, and says this of itself: a peer greets.
    Ready(T),
    /// It cannot run here, and says why.
    Skipped(String),
}

/// Why a line is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The peer says that it could not do what it was asked.
    Refused(String),
    /// The line is not what the protocol asks for.
    Malformed(String),
}

/// The answer to `load`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Loaded {
    /// Number of elements loaded.
    pub loaded: u64,
    /// Ways to sort them.
    pub variants: Vec<Variant>,
}

/// A way to call a library.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Variant {
    /// Its name: `count32`. It is one word.
    pub name: String,
    /// Bytes of temporary memory beside input and result, where that is known.
    pub temporary_bytes: Option<u64>,
}

/// The answer to `run` and to `end_to_end`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Timed {
    /// Milliseconds of each sort, in the order made.
    pub times_ms: Vec<f64>,
}

/// The answer to `save`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Saved {
    /// True.
    pub saved: bool,
}

/// Reads a line that may be the first one of the protocol. `None` if it is not: what an
/// interpreter prints before a peer's program begins.
pub fn first<T: DeserializeOwned>(line: &str) -> Result<Option<First<T>>, String> {
    let value: Value = serde_json::from_str(line).unwrap_or_default();
    match value.get("protocol").and_then(Value::as_u64) {
        Some(PROTOCOL) => {}
        Some(other) => {
            return Err(format!(
                "it speaks version {other} of the protocol, and this program {PROTOCOL}"
            ));
        }
        None => return Ok(None),
    }
    if let Some(reason) = value.get("skipped").and_then(Value::as_str) {
        return Ok(Some(First::Skipped(reason.to_owned())));
    }
    let ready = serde_json::from_value(value).map_err(|error| error.to_string())?;
    Ok(Some(First::Ready(ready)))
}

/// Reads the answer to a request.
pub fn answer<T: DeserializeOwned>(line: &str) -> Result<T, NoAnswer> {
    let malformed = |error: serde_json::Error| NoAnswer::Malformed(error.to_string());
    let value: Value = serde_json::from_str(line).map_err(malformed)?;
    if let Some(reason) = value.get("error").and_then(Value::as_str) {
        return Err(NoAnswer::Refused(reason.to_owned()));
    }
    serde_json::from_value(value).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &str = r#"{"protocol":2,"peer":"cub","peer_version":"3.0.1","device":"NVIDIA H200",
        "orders":["zeros-equal"],"types":["u32","u32+u32"],"something_new":[1]}"#;

    #[test]
    fn a_greeting_is_read_and_may_hold_more() {
        let expected = Greeting {
            peer: "cub".to_owned(),
            peer_version: "3.0.1".to_owned(),
            device: "NVIDIA H200".to_owned(),
            orders: vec![Floats::ZerosEqual],
            types: vec!["u32".to_owned(), "u32+u32".to_owned()],
            sorts: Vec::new(),
            end_to_end: false,
            segments: false,
        };
        assert_eq!(first(READY), Ok(Some(First::Ready(expected))));
        let skipped = r#"{"protocol":2,"skipped":"No module named 'cupy'"}"#;
        assert_eq!(
            first::<Greeting>(skipped),
            Ok(Some(First::Skipped("No module named 'cupy'".to_owned())))
        );
    }

    #[test]
    fn a_greeting_that_is_none_says_what_is_wrong() {
        for line in ["Hello!", "[1]", r#"{"peer":"cub"}"#, r#"{"protocol":"1"}"#] {
            assert_eq!(first::<Greeting>(line), Ok(None), "{line}");
        }
        for (line, wrong) in [
            (r#"{"protocol":1,"skipped":"x"}"#, "version 1 of the protocol"),
            (r#"{"protocol":2}"#, "missing field `peer`"),
            (&READY.replace("zeros-equal", "any"), "unknown variant"),
        ] {
            let reason = first::<Greeting>(line).unwrap_err();
            assert!(reason.contains(wrong), "{line}: {reason}");
        }
    }

    #[test]
    fn answers_and_errors_are_told_apart() {
        let line = r#"{"loaded":7,"variants":[{"name":"a","temporary_bytes":1024},{"name":"b"}]}"#;
        let loaded = answer::<Loaded>(line).unwrap();
        let bytes: Vec<_> = (loaded.variants.iter())
            .map(|variant| (variant.name.as_str(), variant.temporary_bytes))
            .collect();
        assert_eq!(loaded.loaded, 7);
        assert_eq!(bytes, [("a", Some(1024)), ("b", None)]);
        let timed = answer::<Timed>(r#"{"times_ms":[0.5,1]}"#).unwrap();
        assert_eq!(timed.times_ms, [0.5, 1.0]);
        assert_eq!(
            answer::<Timed>(r#"{"error":"out of memory"}"#),
            Err(NoAnswer::Refused("out of memory".to_owned()))
        );
        for line in ["", "nonsense", r#"{"times_ms":"fast"}"#, r#"{"loaded":7}"#] {
            let result = answer::<Timed>(line);
            assert!(matches!(result, Err(NoAnswer::Malformed(_))), "{line}: {result:?}");
        }
    }
}
