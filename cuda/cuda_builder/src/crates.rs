//! The crates that a kernel crate is made of, in the order they are compiled.
//!
//! Cargo only reads the manifests (`cargo metadata --no-deps`), which needs neither a
//! lock file nor the network, and path dependencies are followed from there. Where one
//! comes from a registry or a repository, cargo is asked for all that it resolves. Compiling
//! them needs no cargo: there are few, and each is one call of rustc.

use crate::CudaBuilderError;
use crate::arch::DEVICE;
use cargo_metadata::{Dependency, DependencyKind, MetadataCommand, Package, Target, TargetKind};
use cargo_platform::Cfg;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The `cfg` values of the device, for dependencies of some targets and for build scripts.
pub(crate) const DEVICE_CFG: [&str; 6] = [
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
    let mut resolver = Resolver { root: manifest.clone(), ..Resolver::default() };
    let target_directory = resolver.read(&manifest)?;
    let toolchain = resolver.package(&manifest)?.metadata["cuda_builder"]["toolchain"]
        .as_str()
        .map(str::to_owned);
    let root = Node { manifest, for_host: false, is_build_script: false };
    resolver.request(&root, &[], true)?;
    resolver.add(&root)?;
    Ok(Crates { in_order: resolver.in_order, toolchain, target_directory })
}

/// A crate of the graph: the host's build of a package is another crate than the device's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    manifest: PathBuf,
    for_host: bool,
    is_build_script: bool,
}

#[derive(Default)]
struct Resolver {
    /// The kernel crate's manifest.
    root: PathBuf,
    /// Set once cargo was asked for dependencies from registries and repositories.
    has_fetched: bool,
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
            if let Some((dependency, _)) = feature.split_once('/') {
                // Handed down below; it enables the dependency, unless with a `?`.
                if !dependency.ends_with('?') {
                    enabled.insert(format!("dep:{dependency}"));
                }
                enabled.insert(feature);
                continue;
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
        if has_build_script(&package) && !node.is_build_script {
            // It sees the library's features.
            let features = self.features[node].clone();
            let script = Node { is_build_script: true, ..node.clone() };
            self.features.insert(script.clone(), features);
            self.request_dependencies(&script, &package)?;
        }
        self.request_dependencies(node, &package)
    }

    fn request_dependencies(
        &mut self,
        node: &Node,
        package: &Package,
    ) -> Result<(), CudaBuilderError> {
        for (dependency, child) in self.dependencies(node, package)? {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
            let handed_down = self.features[node].iter().filter_map(|feature| {
                let (of, feature) = feature.split_once('/')?;
                (of.trim_end_matches('?') == name).then(|| feature.to_owned())
            });
            let features: Vec<String> =
                dependency.features.iter().cloned().chain(handed_down).collect();
            self.request(&child, &features, dependency.uses_default_features)?;
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
            let kind = match node.is_build_script {
                true => DependencyKind::Build,
                false => DependencyKind::Normal,
            };
            if dependency.kind != kind || !wanted || !applies(package, dependency, node)? {
                continue;
            }
            let manifest = match &dependency.path {
                Some(path) => path.join("Cargo.toml").into_std_path_buf(),
                None => self.fetched(package, dependency)?,
            };
            let for_host = node.for_host
                || node.is_build_script
                || library(&self.package(&manifest)?)?.is_proc_macro();
            let child = Node { manifest, for_host, is_build_script: false };
            found.push((dependency.clone(), child));
        }
        Ok(found)
    }

    /// The manifest of a dependency from a registry or a repository, in the version of the lock
    /// file.
    fn fetched(
        &mut self,
        package: &Package,
        dependency: &Dependency,
    ) -> Result<PathBuf, CudaBuilderError> {
        let name = &dependency.name;
        if !self.has_fetched {
            let metadata = MetadataCommand::new().manifest_path(&self.root).exec();
            let metadata = metadata.map_err(|error| {
                let reason = format!(
                    "dependency `{name}` comes from a registry or a repository, and cargo cannot \
                     fetch it: {error}"
                );
                unsupported(package, reason)
            })?;
            let by_manifest =
                |package: Package| (package.manifest_path.clone().into_std_path_buf(), package);
            self.packages.extend(metadata.packages.into_iter().map(by_manifest));
            self.has_fetched = true;
        }
        let is_it = |found: &&Package| {
            found.name.as_str() == name
                && found.source.is_some()
                && dependency.req.matches(&found.version)
        };
        let newest = self.packages.values().filter(is_it).max_by_key(|found| &found.version);
        newest.map(|found| found.manifest_path.clone().into()).ok_or_else(|| {
            unsupported(package, format!("cargo resolves no version of its dependency `{name}`"))
        })
    }

    /// Adds a crate, after its dependencies. Returns its index.
    fn add(&mut self, node: &Node) -> Result<usize, CudaBuilderError> {
        let package = self.package(&node.manifest)?;
        match self.indices.get(node) {
            Some(Some(index)) => return Ok(*index),
            Some(None) => return Err(unsupported(&package, "it depends on itself")),
            None => self.indices.insert(node.clone(), None),
        };
        let mut build_script = None;
        if has_build_script(&package) && !node.is_build_script {
            if package.source.is_none() {
                let reason = "it has a build script, and only those of registries are run";
                return Err(unsupported(&package, reason));
            }
            build_script = Some(self.add(&Node { is_build_script: true, ..node.clone() })?);
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
        let target = match package.targets.iter().find(|target| target.is_custom_build()) {
            Some(script) if node.is_build_script => script,
            _ => library(&package)?,
        };
        let root_file = target.src_path.as_std_path();
        let attributes = match node.for_host || node.is_build_script {
            true => Vec::new(),
            false => missing_attributes(
                root_file,
                dependencies.iter().any(|(name, _)| name == "cuda_std"),
            )?,
        };
        self.in_order.push(Crate {
            name: target.name.replace('-', "_"),
            proc_macro: target.is_proc_macro(),
            root_file: root_file.to_owned(),
            attributes,
            edition: target.edition.as_str(),
            features: features.into_iter().filter(|f| !f.contains([':', '/'])).collect(),
            for_host: node.for_host || node.is_build_script,
            is_build_script: node.is_build_script,
            build_script,
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
    if node.for_host || node.is_build_script {
        let name = &dependency.name;
        let reason = format!("a procedural macro's dependency on `{name}` asks for a target");
        return Err(unsupported(package, reason));
    }
    let cfg: Vec<Cfg> =
        DEVICE_CFG.iter().map(|cfg| cfg.parse().expect("the values above are valid")).collect();
    Ok(platform.matches(DEVICE, &cfg))
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

fn library(package: &Package) -> Result<&Target, CudaBuilderError> {
    use TargetKind::{CDyLib, DyLib, Lib, ProcMacro, RLib};
    const KINDS: [TargetKind; 5] = [Lib, RLib, DyLib, CDyLib, ProcMacro];
    let is_library = |target: &&Target| target.kind.iter().any(|kind| KINDS.contains(kind));
    let found = package.targets.iter().find(is_library);
    found.ok_or_else(|| unsupported(package, "it has no library (src/lib.rs)"))
}

fn has_build_script(package: &Package) -> bool {
    package.targets.iter().any(Target::is_custom_build)
}

fn unsupported(package: &Package, reason: impl Into<String>) -> CudaBuilderError {
    CudaBuilderError::Unsupported { krate: package.name.to_string(), reason: reason.into() }
}
