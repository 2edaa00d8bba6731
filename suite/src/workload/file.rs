//! Keys of a file, in place of drawn ones: NumPy's .npy, or raw little-endian keys.
//!
//! In the name of a case the file stands where distributions do, as its name and the
//! first digits of a hash of its keys: `latencies.npy@1a2b3c4d`. The hash leaves the
//! header out, so that a .npy and a raw file of the same keys have the same one.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use npyz::{DType, Endianness, NpyHeader, Order, TypeChar, TypeStr};
use sha2::{Digest, Sha256};

use crate::case::Case;
use crate::environment::hexadecimal;
use crate::error::{Error, unknown};
use crate::key::{Key, bytes_mut};
use crate::memory;
use crate::threads;

/// First bytes of a .npy file.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Most characters of a file's name in the name of a case: Criterion cuts those of its
/// folders at 64.
const NAME: usize = 24;
/// Bytes that a thread reads or writes at a time.
pub(crate) const BLOCK: usize = 1 << 20;

/// A file of keys, found to be whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    path: PathBuf,
    name: String,
    kind: String,
    n: usize,
    /// Where the keys begin.
    offset: u64,
}

impl KeyFile {
    /// Looks at the file `path`, whose type is one of `types`, each a name and its bytes.
    /// Raw keys are of the type `kind`; a .npy says its own.
    ///
    /// # Errors
    /// A file that cannot be read, is cut off, or holds something else than a
    /// one-dimensional little-endian array of such a type.
    pub fn open(path: &Path, kind: Option<&str>, types: &[(&str, usize)]) -> Result<Self, Error> {
        let wrong = |reason: String| Error::File { path: path.to_owned(), reason };
        let failed = Error::file(path);
        // A pipe is not even opened: that waits for a writer, and its keys come only once.
        if !fs::metadata(path).map_err(&failed)?.is_file() {
            return Err(wrong("no file that can be read again; save the keys to one".to_owned()));
        }
        let file = File::open(path).map_err(&failed)?;
        let bytes = file.metadata().map_err(&failed)?.len();
        let mut reader = BufReader::new(file);
        let mut magic = Vec::new();
        reader.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(&failed)?;
        let (kind, n) = if magic == MAGIC {
            reader.rewind().map_err(&failed)?;
            let header = NpyHeader::from_reader(&mut reader).map_err(|error| {
                // Of a syntax error, the lines that point to it follow.
                let said = error.to_string();
                let said = said.split(" -->").next().unwrap_or_default();
                wrong(format!(
                    "its .npy header cannot be read ({}); save the array again by numpy.save",
                    said.trim().trim_end_matches(':')
                ))
            })?;
            let (found, n) = described(&header).map_err(&wrong)?;
            if let Some(kind) = kind.filter(|kind| *kind != found) {
                return Err(wrong(format!(
                    "its .npy header says {found}, and not {kind}; leave --type out: it is for raw \
                     files"
                )));
            }
            (found, Some(n))
        } else {
            reader.rewind().map_err(&failed)?;
            let kind = kind.ok_or_else(|| {
                wrong(
                    "no .npy header at its beginning; of raw little-endian keys say the type, as in \
                     --type u32"
                        .to_owned(),
                )
            })?;
            (kind.to_owned(), None)
        };
        let names: Vec<&str> = types.iter().map(|(name, _)| *name).collect();
        let Some(&(_, size)) = types.iter().find(|(name, _)| *name == kind) else {
            return Err(match n {
                Some(_) => wrong(format!(
                    "its keys are {kind}, which is not measured; there are {}: convert them by \
                     numpy's astype",
                    names.join(", ")
                )),
                None => unknown("type", &kind, &names),
            });
        };
        let offset = reader.stream_position().map_err(&failed)?;
        let n = counted(bytes - offset, n, &kind, size as u64).map_err(&wrong)?;
        let hash = hash(&mut reader).map_err(&failed)?;
        Ok(Self { name: format!("{}@{hash}", word(path)), path: path.to_owned(), kind, n, offset })
    }

    /// Number of keys.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Type of the keys: `u32`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The name that stands for a distribution: `latencies.npy@1a2b3c4d`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `case` with the keys of this file, and with the payload and the order that it had.
    pub fn of_case(&self, case: Case) -> Case {
        let rest = case.kind.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        let kind = format!("{}{rest}", self.kind);
        Case { kind, distribution: self.name.clone(), n: self.n, ..case }
    }

    /// The keys, for a case that asks for `n` of them.
    ///
    /// # Errors
    /// Another number or type of keys than the file has; a file that changed since it was
    /// opened; too little memory.
    pub fn read<K: Key>(&self, n: usize) -> Result<Vec<K>, Error> {
        let wrong = |reason: String| Error::File { path: self.path.clone(), reason };
        if (K::NAME, n) != (self.kind.as_str(), self.n) {
            return Err(wrong(format!(
                "it has {} keys of {}, and not {n} of {}; name the case by them",
                self.n,
                self.kind,
                K::NAME
            )));
        }
        let failed = Error::file(&self.path);
        let file = File::open(&self.path).map_err(&failed)?;
        let keys = read(&file, self.offset, n, &self.path)?;
        let mut file = &file;
        file.seek(SeekFrom::Start(self.offset)).map_err(&failed)?;
        let hash = hash(file).map_err(&failed)?;
        match self.name.ends_with(&hash) {
            true => Ok(keys),
            false => {
                Err(wrong("changed while its keys were measured; keep a copy of it".to_owned()))
            }
        }
    }
}

/// Type and number of the keys that a .npy header describes, or the reason why it has none.
fn described(header: &NpyHeader) -> Result<(String, usize), String> {
    let dtype = header.dtype();
    let DType::Plain(plain) = &dtype else {
        return Err(format!(
            "its elements are records, {}; save one field, as in array['key']",
            dtype.descr()
        ));
    };
    let kind = kind(plain).ok_or_else(|| {
        format!("its elements are {}, which are no keys; save numbers", dtype.descr())
    })?;
    if plain.endianness() == Endianness::Big {
        return Err(format!(
            "its keys are big-endian, {}; save array.astype('<{}{}')",
            dtype.descr(),
            plain.type_char().to_str(),
            plain.size_field()
        ));
    }
    let shape = header.shape();
    let [n] = *shape else {
        let fortran = match header.order() {
            Order::Fortran if shape.len() > 1 => " in Fortran order",
            _ => "",
        };
        let shape: Vec<String> = shape.iter().map(u64::to_string).collect();
        return Err(format!(
            "its shape is ({}){fortran}, and keys are one dimension; save array.ravel()",
            shape.join(", ")
        ));
    };
    Ok((kind, n.try_into().map_err(|_| format!("{n} keys are more than a machine holds"))?))
}

/// Our name of NumPy's type of numbers: `u32` for `<u4`.
fn kind(plain: &TypeStr) -> Option<String> {
    let letter = match plain.type_char() {
        TypeChar::Uint => 'u',
        TypeChar::Int => 'i',
        TypeChar::Float => 'f',
        _ => return None,
    };
    Some(format!("{letter}{}", plain.size_field().saturating_mul(8)))
}

/// Number of keys of `size` bytes in a file that has `bytes` for them and ought to hold
/// `n`, if it says.
fn counted(bytes: u64, n: Option<usize>, kind: &str, size: u64) -> Result<usize, String> {
    let fitting = usize::try_from(bytes / size).unwrap_or(usize::MAX);
    if fitting == 0 && n.unwrap_or(0) == 0 && bytes == 0 {
        return Err("it has no keys, and nothing takes no time to sort; take 1 or more".to_owned());
    }
    match n {
        Some(n) if (n as u64).checked_mul(size) != Some(bytes) => {
            let state = if n as u64 > bytes / size { "truncated" } else { "too long" };
            Err(format!(
                "{state}: its header says {n} keys of {kind}, and there are {bytes} bytes for them; \
                 save or copy it again"
            ))
        }
        None if !bytes.is_multiple_of(size) => Err(format!(
            "{bytes} bytes are no whole number of {kind}, which have {size}; copy it again if it is \
             truncated, or say another --type"
        )),
        _ => Ok(fitting),
    }
}

/// A file's name with those characters alone that names of cases have.
fn word(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.chars().take(NAME).map(|c| if fits(c) { c } else { '_' }).collect()
}

/// First digits of the hash of all that is left to read.
fn hash(mut reader: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match reader.read(&mut block)? {
            0 => break,
            read => hasher.update(&block[..read]),
        }
    }
    Ok(hexadecimal(&hasher.finalize()[..4]))
}

/// `n` keys from `offset` in `file`, read by all threads. They are little-endian, as every machine
/// is that CUDA runs on.
pub(crate) fn read<K: Key>(
    file: &File,
    offset: u64,
    n: usize,
    path: &Path,
) -> Result<Vec<K>, Error> {
    let mut keys = memory::buffer(n)?;
    read_bytes(file, offset, bytes_mut(&mut keys)).map_err(Error::file(path))?;
    Ok(keys)
}

fn read_bytes(file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    threads::try_each(bytes.chunks_mut(BLOCK).enumerate(), |(number, block)| {
        file.read_exact_at(block, offset + (number * BLOCK) as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::F32;
    use npyz::WriterBuilder;

    const TYPES: &[(&str, usize)] = &[("u32", 4), ("i32", 4), ("f32", 4), ("u64", 8)];

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.0.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        }
    }

    /// The bytes of a .npy of `u32`s that says these things of itself.
    fn npy(descr: &str, order: Order, shape: &[u64], keys: &[u32]) -> Vec<u8> {
        let dtype = DType::Plain(descr.parse().unwrap());
        let mut bytes = Vec::new();
        let shape: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
        let fortran = if order == Order::Fortran { "True" } else { "False" };
        let text = format!(
            "{{'descr': {}, 'fortran_order': {fortran}, 'shape': ({}), }}\n",
            dtype.descr(),
            shape.concat()
        );
        bytes.extend(MAGIC);
        bytes.extend([1, 0]);
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        keys.iter().for_each(|key| bytes.extend(key.to_le_bytes()));
        bytes
    }

    fn open(path: &Path, kind: Option<&str>) -> Result<KeyFile, String> {
        KeyFile::open(path, kind, TYPES).map_err(|error| error.to_string())
    }

    #[test]
    fn npy_and_raw_files_of_the_same_keys_are_read_alike() {
        let folder = Folder::new();
        let keys = [7u32, u32::MAX, 0, 1 << 20];
        let raw: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
        let raw = open(&folder.put("keys", &raw), Some("u32")).unwrap();
        let saved = folder.put("keys.npy", &npy("<u4", Order::C, &[4], &keys));
        let saved = open(&saved, None).unwrap();
        for file in [&raw, &saved] {
            assert_eq!((file.kind(), file.n()), ("u32", 4));
            assert_eq!(file.read::<u32>(4).unwrap(), keys);
        }
        let hash = raw.name().strip_prefix("keys@").unwrap();
        assert_eq!(saved.name(), format!("keys.npy@{hash}"));
        let floats = folder.put("keys.f32", &1.5f32.to_le_bytes());
        let floats = open(&floats, Some("f32")).unwrap();
        assert_eq!(floats.read::<F32>(1).unwrap(), [F32::new(1.5)]);
    }

    #[test]
    fn the_header_that_the_crate_writes_is_read() {
        let folder = Folder::new();
        let mut bytes = Vec::new();
        let options = npyz::WriteOptions::new().default_dtype().shape(&[3]);
        let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
        writer.extend([-1i32, 5, 3]).unwrap();
        writer.finish().unwrap();
        let file = open(&folder.put("a.npy", &bytes), None).unwrap();
        assert_eq!(file.read::<i32>(3).unwrap(), [-1, 5, 3]);
    }

    #[test]
    fn a_file_that_holds_something_else_is_one_error_with_the_remedy() {
        let folder = Folder::new();
        let whole = npy("<u4", Order::C, &[3], &[3, 1, 2]);
        let long = [&whole[..], &[0; 4]].concat();
        for (bytes, kind, said) in [
            (
                npy("<f8", Order::C, &[1], &[0, 0]),
                None,
                "f64, which is not measured; there are u32",
            ),
            (npy(">u4", Order::C, &[1], &[0]), None, "big-endian, '>u4'; save array.astype('<u4')"),
            (npy("<u4", Order::C, &[2, 2], &[0; 4]), None, "(2, 2), and keys are one dimension"),
            (npy("<u4", Order::Fortran, &[2, 1], &[0; 2]), None, "(2, 1) in Fortran order"),
            (npy("<u4", Order::C, &[], &[0]), None, "its shape is ()"),
            (npy("|S4", Order::C, &[1], &[0]), None, "'|S4', which are no keys"),
            (npy("<u4", Order::C, &[0], &[]), None, "no keys"),
            (whole[..whole.len() - 1].to_vec(), None, "truncated: its header says 3 keys of u32"),
            (long, None, "too long: its header says 3 keys of u32, and there are 16 bytes"),
            (whole[..20].to_vec(), None, "its .npy header cannot be read"),
            (whole.clone(), Some("i32"), "says u32, and not i32; leave --type out"),
            (vec![1, 2, 3, 4], None, "no .npy header"),
            (vec![1, 2, 3, 4, 5], Some("u32"), "5 bytes are no whole number of u32, which have 4"),
            (vec![], Some("u32"), "no keys"),
            (vec![1; 8], Some("i64"), "type `i64` is not known here; there are u32, i32"),
        ] {
            let path = folder.put("wrong.npy", &bytes);
            let error = open(&path, kind).unwrap_err();
            assert!(error.contains(said), "{error}");
            let named = error.starts_with(&format!("{}: ", path.display()));
            assert!(named || kind == Some("i64"), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        let error = open(&folder.0.path().join("none.npy"), None).unwrap_err();
        assert!(error.contains("none.npy: No such file"), "{error}");
        let pipe = folder.0.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [&pipe, folder.0.path()] {
            let error = open(path, Some("u32")).unwrap_err();
            assert!(error.contains("no file that can be read again"), "{error}");
        }
    }

    #[test]
    fn names_fit_into_those_of_cases() {
        let folder = Folder::new();
        let path = folder.put("año 2026, naïve (b) copy.bin", &[1; 8]);
        let file = open(&path, Some("u64")).unwrap();
        let case = file.of_case("device/u32-uniform/gpu/1/9".parse().unwrap());
        let name = case.to_string();
        assert!(name.starts_with("device/u64-a_o_2026__na_ve__b__copy@"), "{name}");
        assert_eq!(name.parse(), Ok(case));
        let pairs = file.of_case("pairs/u32+u32-uniform/gpu/1/9".parse().unwrap());
        assert_eq!((pairs.kind.as_str(), pairs.n), ("u64+u32", 1));
        let down = file.of_case("device/u32@descending-uniform/gpu/1/9".parse().unwrap());
        assert_eq!(down.kind, "u64@descending");
    }

    #[test]
    fn another_case_and_a_changed_file_are_refused() {
        let folder = Folder::new();
        let path = folder.put("keys", &[1, 0, 0, 0, 2, 0, 0, 0]);
        let file = open(&path, Some("u32")).unwrap();
        let error = file.read::<u32>(3).unwrap_err().to_string();
        assert!(error.contains("it has 2 keys of u32, and not 3 of u32"), "{error}");
        assert!(file.read::<u64>(2).unwrap_err().to_string().contains("not 2 of u64"));
        folder.put("keys", &[1, 0, 0, 0, 3, 0, 0, 0]);
        let error = file.read::<u32>(2).unwrap_err().to_string();
        assert!(error.contains("changed while"), "{error}");
    }
}
