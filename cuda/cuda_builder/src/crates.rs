//! The crates that a kernel crate is made of, in the order they are compiled.
//!
//! Cargo resolves them: it prints the graph of what it would build for the device, and builds
//! nothing. Compiling them needs no cargo: there are few, and each is one call of rustc. The
//! graph is an unstable option of cargo, like the flags of the kernels.

use crate::CudaBuilderError;
use crate::arch::DEVICE;
use cargo_metadata::semver::Version;
use cargo_metadata::{Metadata, MetadataCommand, Target};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug)]
pub(crate) struct Crate {
    /// Name of its package.
    pub package: String,
    pub version: Version,
    /// Its name in Rust.
    pub name: String,
    pub root_file: PathBuf,
    pub edition: &'static str,
    pub features: BTreeSet<String>,
    pub proc_macro: bool,
    /// The attributes at the crate's head that the device needs and its source does not have.
    pub attributes: Vec<&'static str>,
    /// Compiled for the machine that builds: a procedural macro, or part of one.
    pub for_host: bool,
    /// A program that is run, and prints what the package's library is compiled with.
    pub is_build_script: bool,
    /// The index of the build script.
    pub build_script: Option<usize>,
    /// The name it goes by here, and its index in [`Crates::in_order`].
    pub dependencies: Vec<(String, usize)>,
}

impl Crate {
    /// The folder that all of the crate's source is in.
    pub(crate) fn source_folder(&self) -> &Path {
        self.root_file.parent().unwrap_or(Path::new("."))
    }

    pub(crate) fn manifest(&self) -> Option<PathBuf> {
        let manifests = self.root_file.ancestors().skip(1).map(|folder| folder.join("Cargo.toml"));
        manifests.into_iter().find(|manifest| manifest.is_file())
    }

    pub(crate) fn unsupported(&self, reason: String) -> CudaBuilderError {
        CudaBuilderError::Unsupported { krate: self.package.clone(), reason }
    }
}

#[derive(Debug)]
pub(crate) struct Crates {
    /// Dependencies before their dependents; the kernel crate is the last.
    pub in_order: Vec<Crate>,
    /// The release of rustc that the kernel crate pins.
    pub toolchain: Option<String>,
    /// Cargo's target folder for the kernel crate.
    pub target_directory: PathBuf,
}

/// Reads the kernel crate in `folder` and its dependencies. `arguments` of cargo choose features.
pub(crate) fn resolve(folder: &Path, arguments: &[String]) -> Result<Crates, CudaBuilderError> {
    let (manifest, metadata) = read(folder)?;
    let graph = graph(&manifest, arguments)?;
    let mut order = Order { units: &graph.units, indices: BTreeMap::new(), in_order: Vec::new() };
    for &root in &graph.roots {
        order.add(root)?;
    }
    Ok(Crates {
        in_order: order.in_order,
        toolchain: toolchain(&manifest, &metadata),
        target_directory: metadata.target_directory.into(),
    })
}

/// The release of rustc that the kernel crate in `folder` pins.
pub(crate) fn pinned(folder: &Path) -> Result<Option<String>, CudaBuilderError> {
    read(folder).map(|(manifest, metadata)| toolchain(&manifest, &metadata))
}

fn toolchain(manifest: &Path, metadata: &Metadata) -> Option<String> {
    let package = metadata.packages.iter().find(|package| package.manifest_path == manifest)?;
    package.metadata["cuda_builder"]["toolchain"].as_str().map(str::to_owned)
}

/// Path and contents of the kernel crate's manifest.
fn read(folder: &Path) -> Result<(PathBuf, Metadata), CudaBuilderError> {
    let manifest = folder.join("Cargo.toml");
    // Cargo answers with paths in this form.
    let manifest = manifest
        .canonicalize()
        .map_err(CudaBuilderError::io("open the kernel crate's", &manifest))?;
    let mut command = MetadataCommand::new();
    command.manifest_path(&manifest).no_deps().other_options(["--offline".to_owned()]);
    match command.exec() {
        Ok(metadata) => Ok((manifest, metadata)),
        Err(cargo_metadata::Error::CargoMetadata { stderr }) => {
            Err(CudaBuilderError::Metadata { manifest, message: stderr.trim().to_owned() })
        }
        Err(other) => Err(CudaBuilderError::Metadata { manifest, message: other.to_string() }),
    }
}

/// Cargo's graph of a build.
#[derive(Deserialize)]
struct Graph {
    units: Vec<Unit>,
    roots: Vec<usize>,
}

/// A target of a package, built for one side, or a build script's run.
#[derive(Deserialize)]
struct Unit {
    pkg_id: String,
    target: Target,
    /// The triple that it is built for; none for the host.
    platform: Option<String>,
    mode: String,
    features: BTreeSet<String>,
    dependencies: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    index: usize,
    extern_crate_name: String,
}

/// Asks cargo for the graph of the library of this manifest, for the device.
fn graph(manifest: &Path, arguments: &[String]) -> Result<Graph, CudaBuilderError> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(&program);
    cargo
        .args(["build", "--lib", "--quiet", "--unit-graph", "-Zunstable-options"])
        .args(["--target", DEVICE, "--manifest-path"])
        .arg(manifest)
        .args(arguments)
        .env("RUSTC_BOOTSTRAP", "1")
        // An answer of this call is none for cargo's other calls.
        .env("CARGO_CACHE_RUSTC_INFO", "0");
    // Of the host's build.
    for variable in
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
    {
        cargo.env_remove(variable);
    }
    let output = cargo.output().map_err(CudaBuilderError::io("run", Path::new(&program)))?;
    let failed =
        |message: String| CudaBuilderError::Metadata { manifest: manifest.to_owned(), message };
    match output.status.success() {
        true => serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string())),
        false => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

/// Puts the crates of a graph in order.
struct Order<'a> {
    units: &'a [Unit],
    /// The index in `in_order` of each unit.
    indices: BTreeMap<usize, usize>,
    in_order: Vec<Crate>,
}

impl Order<'_> {
    /// Adds the crate of a unit, after its dependencies. Returns its index.
    fn add(&mut self, unit: usize) -> Result<usize, CudaBuilderError> {
        if let Some(index) = self.indices.get(&unit) {
            return Ok(*index);
        }
        let Unit { pkg_id, target, platform, features, dependencies: edges, .. } =
            &self.units[unit];
        let (package, version) = named(pkg_id);
        let (mut dependencies, mut scripts) = (Vec::new(), Vec::new());
        for edge in edges {
            match self.units[edge.index].mode.as_str() {
                "run-custom-build" => scripts.extend(&self.units[edge.index].dependencies),
                _ => dependencies.push((edge.extern_crate_name.clone(), self.add(edge.index)?)),
            }
        }
        let for_host = platform.is_none();
        let has_kernels = dependencies.iter().any(|(name, _)| name == "cuda_std");
        let root_file = target.src_path.as_std_path().to_owned();
        let attributes = match for_host {
            true => Vec::new(),
            false => missing_attributes(&root_file, has_kernels)?,
        };
        let mut krate = Crate {
            package,
            version,
            name: target.name.replace('-', "_"),
            root_file,
            edition: target.edition.as_str(),
            features: features.clone(),
            proc_macro: target.is_proc_macro(),
            attributes,
            for_host,
            is_build_script: target.is_custom_build(),
            build_script: None,
            dependencies,
        };
        // A run needs its program, and may need other runs.
        if let Some(script) = scripts.iter().find(|edge| self.units[edge.index].mode == "build") {
            if pkg_id.starts_with("path+") {
                let reason = "it has a build script, and only those of registries are run";
                return Err(krate.unsupported(reason.to_owned()));
            }
            krate.build_script = Some(self.add(script.index)?);
        }
        self.in_order.push(krate);
        let index = self.in_order.len() - 1;
        self.indices.insert(unit, index);
        Ok(index)
    }
}

/// Name and version in the id of a package: `path+file:///folder/name#0.1.0`, or behind the
/// `#`, `name@0.1.0`.
fn named(id: &str) -> (String, Version) {
    let (source, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    let folder = source.split('?').next().unwrap_or_default().rsplit('/').next();
    let (name, version) =
        fragment.split_once('@').unwrap_or((folder.unwrap_or_default(), fragment));
    (name.to_owned(), version.parse().unwrap_or(Version::new(0, 0, 0)))
}

/// The attributes that a crate for the device begins with, if its own do not name them. A crate
/// that uses `cuda_std` has kernels.
fn missing_attributes(
    root: &Path,
    has_kernels: bool,
) -> Result<Vec<&'static str>, CudaBuilderError> {
    const OF_KERNELS: [(&str, &str); 3] = [
        ("abi_ptx", "feature(abi_ptx)"),
        ("asm_experimental_arch", "feature(asm_experimental_arch)"),
        ("unused_features", "allow(unused_features)"),
    ];
    let source = std::fs::read_to_string(root).map_err(CudaBuilderError::io("read", root))?;
    // From each `#![` to the bracket that closes it.
    let attributes = source.match_indices("#![").map(|(at, _)| {
        let mut depth = 0;
        let end = source[at..].find(|c| {
            depth += (c == '[') as i32 - (c == ']') as i32;
            c == ']' && depth == 0
        });
        &source[at..end.map_or(source.len(), |end| at + end)]
    });
    let own = attributes.collect::<String>();
    let of_kernels = OF_KERNELS.iter().filter(|_| has_kernels);
    let wanted = [("no_std", "no_std")].into_iter().chain(of_kernels.copied());
    Ok(wanted.filter(|(word, _)| !own.contains(word)).map(|(_, attribute)| attribute).collect())
}
