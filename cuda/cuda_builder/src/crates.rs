//! The crates that a kernel crate is made of, in the order they are compiled.
//!
//! Cargo only reads the manifests (`cargo metadata --no-deps`), which needs neither a
//! lock file nor the network, and path dependencies are followed from there. Compiling
//! them needs no cargo: there are few, and each is one call of rustc.

use crate::CudaBuilderError;
use crate::arch::DEVICE;
use cargo_metadata::{Dependency, DependencyKind, MetadataCommand, Package, Target, TargetKind};
use cargo_platform::Cfg;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The `cfg` values of the device, for dependencies of some targets.
const DEVICE_CFG: [&str; 6] = [
    "target_os=\"cuda\"",
    "target_arch=\"nvptx64\"",
    "target_vendor=\"nvidia\"",
    "target_endian=\"little\"",
    "target_pointer_width=\"64\"",
    "panic=\"immediate-abort\"",
];

#[derive(Debug)]
pub(crate) struct Crate {
    pub package: Package,
    /// Its name in Rust.
    pub name: String,
    pub root_file: PathBuf,
    pub edition: &'static str,
    pub features: BTreeSet<String>,
    pub proc_macro: bool,
    /// Compiled for the machine that builds: a procedural macro, or part of one.
    pub for_host: bool,
    /// The name it goes by here, and its index in [`Crates::in_order`].
    pub dependencies: Vec<(String, usize)>,
}

impl Crate {
    /// The folder that all of the crate's source is in.
    pub(crate) fn source_folder(&self) -> &Path {
        self.root_file.parent().unwrap_or(Path::new("."))
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

/// Reads the kernel crate in `folder` and its dependencies.
pub(crate) fn resolve(folder: &Path) -> Result<Crates, CudaBuilderError> {
    let manifest = folder.join("Cargo.toml");
    // Cargo answers with paths in this form, and packages are told apart by them.
    let manifest = manifest
        .canonicalize()
        .map_err(CudaBuilderError::io("open the kernel crate's", &manifest))?;
    let mut resolver = Resolver::default();
    let target_directory = resolver.read(&manifest)?;
    let toolchain = resolver.package(&manifest)?.metadata["cuda_builder"]["toolchain"]
        .as_str()
        .map(str::to_owned);
    let root = Node { manifest, for_host: false };
    resolver.request(&root, &[], true)?;
    resolver.add(&root)?;
    Ok(Crates { in_order: resolver.in_order, toolchain, target_directory })
}

/// A crate of the graph: the host's build of a package is another crate than the device's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    manifest: PathBuf,
    for_host: bool,
}

#[derive(Default)]
struct Resolver {
    packages: BTreeMap<PathBuf, Package>,
    features: BTreeMap<Node, BTreeSet<String>>,
    /// The index of each crate; `None` while its dependencies are being added.
    indices: BTreeMap<Node, Option<usize>>,
    in_order: Vec<Crate>,
}

impl Resolver {
    /// Asks cargo about the workspace of `manifest`. Returns its target folder.
    fn read(&mut self, manifest: &Path) -> Result<PathBuf, CudaBuilderError> {
        let mut command = MetadataCommand::new();
        command.manifest_path(manifest).no_deps().other_options(["--offline".to_owned()]);
        let metadata = command.exec().map_err(|error| {
            let message = match error {
                cargo_metadata::Error::CargoMetadata { stderr } => stderr.trim().to_owned(),
                other => other.to_string(),
            };
            CudaBuilderError::Metadata { manifest: manifest.to_owned(), message }
        })?;
        let by_manifest = |package: Package| (package.manifest_path.clone().into(), package);
        self.packages.extend(metadata.packages.into_iter().map(by_manifest));
        Ok(metadata.target_directory.into())
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

    /// Enables `features` of a crate, and those that follow in the crates it depends on,
    /// until nothing changes.
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
        let default = with_default.then(|| "default".to_owned());
        let mut pending: Vec<String> = features.iter().cloned().chain(default).collect();
        while let Some(feature) = pending.pop() {
            if feature.contains('/') {
                let reason =
                    format!("feature `{feature}` reaches into a dependency; enable it there");
                return Err(unsupported(&package, reason));
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
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
            let wanted = !dependency.optional
                || enabled.contains(&format!("dep:{name}"))
                || enabled.contains(name);
            let is_normal = dependency.kind == DependencyKind::Normal;
            if !is_normal || !wanted || !applies(package, dependency, node)? {
                continue;
            }
            let Some(path) = &dependency.path else {
                let reason = format!(
                    "dependency `{}` comes from a registry or a repository, and only path \
                     dependencies are compiled; put it under \
                     [target.'cfg(not(target_os = \"cuda\"))'.dependencies]",
                    dependency.name
                );
                return Err(unsupported(package, reason));
            };
            let manifest = path.join("Cargo.toml").into_std_path_buf();
            let for_host = node.for_host || library(&self.package(&manifest)?)?.is_proc_macro();
            found.push((dependency.clone(), Node { manifest, for_host }));
        }
        Ok(found)
    }

    /// Adds a crate, after its dependencies. Returns its index.
    fn add(&mut self, node: &Node) -> Result<usize, CudaBuilderError> {
        let package = self.package(&node.manifest)?;
        match self.indices.get(node) {
            Some(Some(index)) => return Ok(*index),
            Some(None) => return Err(unsupported(&package, "it depends on itself")),
            None => self.indices.insert(node.clone(), None),
        };
        if package.targets.iter().any(Target::is_custom_build) {
            let reason = "it has a build script, and none is run for the device";
            return Err(unsupported(&package, reason));
        }
        let mut dependencies = Vec::new();
        for (dependency, child) in self.dependencies(node, &package)? {
            let name = match dependency.rename {
                Some(rename) => rename,
                None => library(&self.package(&child.manifest)?)?.name.clone(),
            };
            dependencies.push((name.replace('-', "_"), self.add(&child)?));
        }
        let features = self.features.get(node).cloned().unwrap_or_default();
        let target = library(&package)?;
        self.in_order.push(Crate {
            name: target.name.replace('-', "_"),
            proc_macro: target.is_proc_macro(),
            root_file: target.src_path.clone().into(),
            edition: target.edition.as_str(),
            features: features.into_iter().filter(|f| !f.starts_with("dep:")).collect(),
            for_host: node.for_host,
            dependencies,
            package,
        });
        let index = self.in_order.len() - 1;
        self.indices.insert(node.clone(), Some(index));
        Ok(index)
    }
}

/// Returns true if a dependency is one on the side that `node` is compiled for.
fn applies(
    package: &Package,
    dependency: &Dependency,
    node: &Node,
) -> Result<bool, CudaBuilderError> {
    let Some(platform) = &dependency.target else {
        return Ok(true);
    };
    if node.for_host {
        let name = &dependency.name;
        let reason = format!("a procedural macro's dependency on `{name}` asks for a target");
        return Err(unsupported(package, reason));
    }
    let cfg: Vec<Cfg> =
        DEVICE_CFG.iter().map(|cfg| cfg.parse().expect("the values above are valid")).collect();
    Ok(platform.matches(DEVICE, &cfg))
}

fn library(package: &Package) -> Result<&Target, CudaBuilderError> {
    use TargetKind::{CDyLib, DyLib, Lib, ProcMacro, RLib};
    const KINDS: [TargetKind; 5] = [Lib, RLib, DyLib, CDyLib, ProcMacro];
    let is_library = |target: &&Target| target.kind.iter().any(|kind| KINDS.contains(kind));
    let found = package.targets.iter().find(is_library);
    found.ok_or_else(|| unsupported(package, "it has no library (src/lib.rs)"))
}

fn unsupported(package: &Package, reason: impl Into<String>) -> CudaBuilderError {
    CudaBuilderError::Unsupported { krate: package.name.to_string(), reason: reason.into() }
}
