//! The crates that a kernel crate is made of, in the order they are compiled.
//!
//! Cargo is asked only what the manifests say (`cargo metadata --no-deps`), which
//! needs neither a lock file nor the network, and path dependencies are followed
//! from there. Compiling them needs no cargo: there are few, and each is one call
//! of rustc.

use crate::CudaBuilderError;
use crate::arch::DEVICE;
use cargo_platform::{Cfg, Platform};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The `cfg` values of the device, for dependencies that ask.
const DEVICE_CFG: [&str; 6] = [
    "target_os=\"cuda\"",
    "target_arch=\"nvptx64\"",
    "target_vendor=\"nvidia\"",
    "target_endian=\"little\"",
    "target_pointer_width=\"64\"",
    "panic=\"immediate-abort\"",
];

/// One crate to compile.
#[derive(Clone, Debug)]
pub(crate) struct Crate {
    /// Its package, as people know it.
    pub package: String,
    pub version: String,
    /// Its name in Rust.
    pub name: String,
    pub manifest: PathBuf,
    pub root_file: PathBuf,
    pub edition: String,
    pub features: BTreeSet<String>,
    pub proc_macro: bool,
    /// Compiled for the machine that builds: a procedural macro, or part of one.
    pub for_host: bool,
    /// The name it goes by here, and its index in [`Crates::in_order`].
    pub dependencies: Vec<(String, usize)>,
}

/// A kernel crate and all that it needs.
#[derive(Debug)]
pub(crate) struct Crates {
    /// Dependencies before their dependents; the kernel crate is the last.
    pub in_order: Vec<Crate>,
    /// The release of rustc that the kernel crate pins.
    pub toolchain: Option<String>,
    /// Where cargo would build the kernel crate.
    pub target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Clone, Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
    features: BTreeMap<String, Vec<String>>,
    metadata: Option<PackageMetadata>,
}

#[derive(Clone, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
    edition: String,
}

#[derive(Clone, Deserialize)]
struct Dependency {
    name: String,
    path: Option<PathBuf>,
    kind: Option<String>,
    rename: Option<String>,
    optional: bool,
    uses_default_features: bool,
    features: Vec<String>,
    target: Option<String>,
}

#[derive(Clone, Deserialize)]
struct PackageMetadata {
    cuda_builder: Option<BuilderMetadata>,
}

#[derive(Clone, Deserialize)]
struct BuilderMetadata {
    toolchain: Option<String>,
}

/// Reads the kernel crate in `folder` and what it depends on.
pub(crate) fn resolve(folder: &Path) -> Result<Crates, CudaBuilderError> {
    let manifest = folder.join("Cargo.toml");
    // Cargo answers with paths in this form, and packages are told apart by them.
    let manifest = manifest
        .canonicalize()
        .map_err(CudaBuilderError::io("open the kernel crate's", &manifest))?;
    let mut resolver = Resolver::default();
    let target_directory = resolver.read(&manifest)?;
    let root = resolver.package(&manifest)?;
    let toolchain = root.metadata.and_then(|metadata| metadata.cuda_builder?.toolchain);
    let root = Node { manifest: root.manifest_path, for_host: false };
    resolver.request(&root, &[], true)?;
    resolver.place(&root)?;
    Ok(Crates { in_order: resolver.in_order, toolchain, target_directory })
}

/// A crate as it stands in the graph: the host's build of a package is another
/// crate than the device's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    manifest: PathBuf,
    for_host: bool,
}

#[derive(Default)]
struct Resolver {
    packages: BTreeMap<PathBuf, Package>,
    features: BTreeMap<Node, BTreeSet<String>>,
    /// `None` while a crate's dependencies are being placed.
    placed: BTreeMap<Node, Option<usize>>,
    in_order: Vec<Crate>,
}

impl Resolver {
    /// Asks cargo about the workspace of `manifest`. Returns its target folder.
    fn read(&mut self, manifest: &Path) -> Result<PathBuf, CudaBuilderError> {
        let refused =
            |message: String| CudaBuilderError::Metadata { manifest: manifest.to_owned(), message };
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(&cargo)
            .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
            .arg("--manifest-path")
            .arg(manifest)
            .output()
            .map_err(CudaBuilderError::io("run", Path::new(&cargo)))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(refused(stderr.trim().to_owned()));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)
            .map_err(|error| refused(format!("cargo metadata answers otherwise: {error}")))?;
        for package in metadata.packages {
            self.packages.insert(package.manifest_path.clone(), package);
        }
        Ok(metadata.target_directory)
    }

    fn package(&mut self, manifest: &Path) -> Result<Package, CudaBuilderError> {
        if !self.packages.contains_key(manifest) {
            self.read(manifest)?;
        }
        let package = self.packages.get(manifest).cloned();
        package.ok_or_else(|| CudaBuilderError::Metadata {
            manifest: manifest.to_owned(),
            message: "cargo metadata does not list this package".to_owned(),
        })
    }

    /// Enables `features` of a crate, and what follows from them in the crates it
    /// depends on, until nothing changes.
    fn request(
        &mut self,
        node: &Node,
        features: &[String],
        with_default: bool,
    ) -> Result<(), CudaBuilderError> {
        let package = self.package(&node.manifest)?;
        let known = self.features.contains_key(node);
        let enabled = self.features.entry(node.clone()).or_default();
        let before = enabled.len();
        let default = Some("default".to_owned()).filter(|_| with_default);
        let mut pending: Vec<String> = features.iter().cloned().chain(default).collect();
        while let Some(feature) = pending.pop() {
            if feature.contains('/') {
                return Err(unsupported(
                    &package,
                    format!("feature `{feature}` reaches into a dependency; enable it there"),
                ));
            }
            match package.features.get(&feature) {
                Some(implied) => {
                    pending.extend(implied.iter().filter(|f| !enabled.contains(*f)).cloned());
                }
                None if feature.starts_with("dep:") => {}
                // A crate need not have it, and then it is not set.
                None if feature == "default" => continue,
                None => {
                    return Err(unsupported(&package, format!("it has no feature `{feature}`")));
                }
            }
            enabled.insert(feature);
        }
        if known && enabled.len() == before {
            return Ok(());
        }
        for (dependency, child) in self.dependencies(node, &package)? {
            self.request(&child, &dependency.features, dependency.uses_default_features)?;
        }
        Ok(())
    }

    /// A crate's dependencies when it is compiled for its side.
    fn dependencies(
        &mut self,
        node: &Node,
        package: &Package,
    ) -> Result<Vec<(Dependency, Node)>, CudaBuilderError> {
        let enabled = self.features.get(node).cloned().unwrap_or_default();
        let mut found = Vec::new();
        for dependency in &package.dependencies {
            let wanted = !dependency.optional
                || enabled.contains(&format!("dep:{}", extern_name(dependency)))
                || enabled.contains(extern_name(dependency));
            if dependency.kind.is_some() || !wanted || !applies(package, dependency, node)? {
                continue;
            }
            let Some(path) = &dependency.path else {
                return Err(unsupported(
                    package,
                    format!(
                        "dependency `{}` comes from a registry or a repository, and only path \
                         dependencies are compiled; put it under \
                         [target.'cfg(not(target_os = \"cuda\"))'.dependencies]",
                        dependency.name
                    ),
                ));
            };
            let child = self.package(&path.join("Cargo.toml"))?;
            let for_host = node.for_host || library(&child)?.kind.iter().any(|k| k == "proc-macro");
            let manifest = child.manifest_path;
            found.push((dependency.clone(), Node { manifest, for_host }));
        }
        Ok(found)
    }

    /// Puts a crate into the order, after its dependencies. Returns its index.
    fn place(&mut self, node: &Node) -> Result<usize, CudaBuilderError> {
        let package = self.package(&node.manifest)?;
        match self.placed.get(node) {
            Some(Some(index)) => return Ok(*index),
            Some(None) => {
                return Err(unsupported(&package, "it depends on itself".to_owned()));
            }
            None => self.placed.insert(node.clone(), None),
        };
        if package.targets.iter().any(|t| t.kind.iter().any(|k| k == "custom-build")) {
            return Err(unsupported(
                &package,
                "it has a build script, and none is run for the device".to_owned(),
            ));
        }
        let mut dependencies = Vec::new();
        for (dependency, child) in self.dependencies(node, &package)? {
            let name = match &dependency.rename {
                Some(rename) => rename.clone(),
                None => library(&self.package(&child.manifest)?)?.name.clone(),
            };
            dependencies.push((name.replace('-', "_"), self.place(&child)?));
        }
        let target = library(&package)?.clone();
        let features = self.features.get(node).cloned().unwrap_or_default();
        self.in_order.push(Crate {
            name: target.name.replace('-', "_"),
            proc_macro: target.kind.iter().any(|k| k == "proc-macro"),
            root_file: target.src_path,
            edition: target.edition,
            package: package.name,
            version: package.version,
            manifest: package.manifest_path,
            features: features.into_iter().filter(|f| !f.starts_with("dep:")).collect(),
            for_host: node.for_host,
            dependencies,
        });
        let index = self.in_order.len() - 1;
        self.placed.insert(node.clone(), Some(index));
        Ok(index)
    }
}

fn extern_name(dependency: &Dependency) -> &str {
    dependency.rename.as_ref().unwrap_or(&dependency.name)
}

/// Returns true if a dependency is one on the side that `node` is compiled for.
fn applies(
    package: &Package,
    dependency: &Dependency,
    node: &Node,
) -> Result<bool, CudaBuilderError> {
    let Some(text) = &dependency.target else {
        return Ok(true);
    };
    if node.for_host {
        return Err(unsupported(
            package,
            format!("a procedural macro's dependency on `{}` asks for a target", dependency.name),
        ));
    }
    let refused = |error: cargo_platform::ParseError| unsupported(package, error.to_string());
    let platform: Platform = text.parse().map_err(refused)?;
    let cfg: Result<Vec<Cfg>, _> = DEVICE_CFG.iter().map(|cfg| cfg.parse()).collect();
    Ok(platform.matches(DEVICE, &cfg.map_err(refused)?))
}

/// The library of a package.
fn library(package: &Package) -> Result<&Target, CudaBuilderError> {
    const KINDS: [&str; 5] = ["lib", "rlib", "dylib", "cdylib", "proc-macro"];
    let is_library = |target: &&Target| target.kind.iter().any(|k| KINDS.contains(&k.as_str()));
    package
        .targets
        .iter()
        .find(is_library)
        .ok_or_else(|| unsupported(package, "it has no library (src/lib.rs)".to_owned()))
}

fn unsupported(package: &Package, reason: String) -> CudaBuilderError {
    CudaBuilderError::Unsupported { krate: package.name.clone(), reason }
}
