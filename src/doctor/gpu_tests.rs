use std::os::unix::fs::symlink;

use super::*;

const CARRIED: [Carried; 2] =
    [Carried { ptx: (8, 0), capability: (9, 0) }, Carried { ptx: (7, 4), capability: (7, 5) }];

fn h200() -> Surveyed {
    Surveyed {
        name: "NVIDIA H200".to_owned(),
        capability: Some((9, 0)),
        memory: Some((600_000_000, 150_000_000_000)),
        ..Surveyed::default()
    }
}

/// A machine on which all is well.
fn well() -> Facts {
    Facts {
        carried: CARRIED.to_vec(),
        survey: Survey {
            driver: Some("580.65.06".to_owned()),
            cuda: Some((13, 0)),
            gpus: vec![h200()],
        },
        trial: Ok("NVIDIA H200".to_owned()),
        ..Facts::default()
    }
}

/// A machine without a driver.
fn without_driver() -> Facts {
    Facts {
        driver: Err("no NVIDIA driver (libcuda.so.1 not found)".to_owned()),
        survey: Survey::default(),
        trial: Err(String::new()),
        ..well()
    }
}

fn with_gpu(gpu: Surveyed) -> Facts {
    let mut facts = well();
    facts.survey.gpus = vec![gpu];
    facts
}

/// The one finding of what is amiss.
#[track_caller]
fn amiss(facts: &Facts, state: State, name: &str, sentence: &str, remedy: &str) {
    let mut found = facts.findings();
    found.retain(|finding| finding.state != State::Ok);
    assert_eq!(found.len(), 1, "{found:#?}");
    let Finding { finding, .. } = &found[0];
    assert_eq!((found[0].state, found[0].name), (state, name), "{finding}");
    assert!(finding.contains(sentence), "{finding}");
    let said = found[0].remedy.as_ref().unwrap();
    assert!(said.contains(remedy), "{said}");
}

#[test]
fn nothing_is_amiss_where_a_gpu_sorts() {
    let found = well().findings();
    let said: Vec<&str> = found.iter().map(|finding| finding.finding.as_str()).collect();
    assert_eq!(
        said,
        [
            "the program carries PTX 8.0 from compute capability 9.0 on (CUDA 12.0, driver 525), \
             and PTX 7.4 from compute capability 7.5 on (CUDA 11.4, driver 470)",
            "NVIDIA driver 580.65.06 (CUDA 13.0)",
            "GPU 0 is NVIDIA H200, compute capability 9.0, 150.0 GB",
            "NVIDIA H200 sorts 100000 keys, and the result is right",
        ]
    );
    assert!(well().runs());
}

#[test]
fn a_missing_driver_has_a_remedy_for_where_it_is_missing() {
    let module = || Some("580.65.06".to_owned());
    let docker = || Some("docker".to_owned());
    let none = without_driver;
    for (facts, sentence, remedy) in [
        (none(), "no NVIDIA GPU and no driver", "xtask bundle"),
        (Facts { on_bus: 2, ..none() }, "2 NVIDIA GPUs on the PCI bus", "nvidia-driver"),
        (Facts { module: module(), ..none() }, "has driver 580.65.06, but", "LD_LIBRARY_PATH"),
        (
            Facts { container: docker(), ..none() },
            "docker container was given no GPU",
            "--gpus all",
        ),
        (
            Facts { container: docker(), module: module(), ..none() },
            "given no GPU, though its host has driver 580.65.06",
            "nvidia.com/gpu: 1",
        ),
        (
            Facts { driver: Err("the driver does not load (bad ELF)".to_owned()), ..none() },
            "does not load (bad ELF)",
            "again",
        ),
        (
            Facts { driver: Err("it does not start: 802; start it so".to_owned()), ..none() },
            "it does not start: 802",
            "start it so",
        ),
        (
            Facts { driver: Ok(()), stub: Some("/stubs/libcuda.so".to_owned()), ..none() },
            "/stubs/libcuda.so is the CUDA toolkit's stub library",
            "LD_LIBRARY_PATH",
        ),
    ] {
        amiss(&facts, State::Fault, "driver", sentence, remedy);
        assert!(!facts.runs());
    }
}

#[test]
fn a_driver_is_held_against_the_kernels_that_the_gpu_takes() {
    let mut facts = well();
    facts.survey.cuda = Some((11, 8));
    amiss(&facts, State::Fault, "driver", "which needs CUDA 12.0", "driver 525 or later");
    facts.survey.gpus[0].capability = Some((8, 6));
    assert!(facts.too_old().is_none());
    facts.survey.cuda = Some((11, 0));
    amiss(&facts, State::Fault, "driver", "which needs CUDA 11.4", "driver 470 or later");
    let empty = Facts { carried: Vec::new(), ..well() };
    amiss(&empty, State::Fault, "kernels", "without a kernel compiler", "cargo xtask setup");
    assert_eq!(needed((9, 0)), ((13, 0), "580"));
    assert_eq!(needed((8, 7)), ((12, 8), "575"));
}

#[test]
fn each_trouble_of_a_gpu_has_its_finding() {
    let warning = State::Warning;
    for (gpu, state, name, sentence, remedy) in [
        (
            Surveyed { capability: Some((7, 0)), ..h200() },
            State::Fault,
            "gpu",
            "has compute capability 7.0",
            "7.5 or later",
        ),
        (Surveyed { mig: true, ..h200() }, warning, "mig", "instances (MIG)", "-i 0 -mig 0"),
        (
            Surveyed { restricted: Some("Prohibited"), ..h200() },
            State::Fault,
            "compute-mode",
            "mode Prohibited",
            "-c DEFAULT",
        ),
        (
            Surveyed { restricted: Some("ExclusiveProcess"), ..h200() },
            warning,
            "compute-mode",
            "mode ExclusiveProcess",
            "-c DEFAULT",
        ),
        (Surveyed { uncorrected_errors: 3, ..h200() }, warning, "ecc", "had 3 memory", "-i 0 -r"),
        (
            Surveyed { memory: Some((70_000_000_000, 80_000_000_000)), ..h200() },
            warning,
            "memory-held",
            "70.0 GB in use by 0 other programs",
            "nvidia-smi -i 0",
        ),
        (Surveyed { programs: 2, ..h200() }, warning, "memory-held", "by 2 other", "nvidia-smi"),
        (
            Surveyed { slowdowns: vec!["power-cap".to_owned()], ..h200() },
            warning,
            "slowdown",
            "is slowed down by power-cap",
            "let it cool",
        ),
    ] {
        amiss(&with_gpu(gpu), state, name, sentence, remedy);
    }
}

#[test]
fn a_sort_that_fails_says_whether_gpus_are_hidden() {
    let failed = |visible: Option<&str>| Facts {
        trial: Err("GPU: looking: none; look again".to_owned()),
        visible: visible.map(str::to_owned),
        ..well()
    };
    amiss(&failed(None), State::Fault, "sort", "GPU: looking: none", "look again");
    amiss(&failed(Some("")), State::Fault, "visible-devices", "VISIBLE_DEVICES=`` hides", "unset");
    amiss(&failed(Some("7")), State::Fault, "visible-devices", "=`7` hides", "0");
}

#[test]
fn device_nodes_that_cannot_be_opened_are_named() {
    let dev = tempfile::tempdir().unwrap();
    assert_eq!(nodes(dev.path()), []);
    for name in ["nvidia0", "nvidiactl", "nvidia-modeset"] {
        fs::write(dev.path().join(name), "").unwrap();
    }
    symlink("/no/such/node", dev.path().join("nvidia1")).unwrap();
    let found = nodes(dev.path());
    let bad: Vec<_> = found.iter().filter(|(_, problem)| problem.is_some()).collect();
    let names: Vec<_> = bad.iter().map(|(path, _)| path.file_name().unwrap()).collect();
    assert_eq!((found.len(), names), (4, vec!["nvidia-uvm".as_ref(), "nvidia1".as_ref()]));
    let denied = (PathBuf::from("/dev/nvidia0"), Some("Permission denied".to_owned()));
    let facts = Facts { nodes: vec![denied], ..well() };
    let sentence = "/dev/nvidia0 cannot be opened: Permission denied";
    amiss(&facts, State::Fault, "device-node", sentence, "chmod a+rw /dev/nvidia0");
}

#[test]
fn the_system_s_files_are_read() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun\n");
    assert_eq!(module(&root.path().join("version")).as_deref(), Some("535.54.03"));
    for (device, vendor, class) in
        [("a", "0x10de", "0x030200"), ("b", "0x10de", "0x040300"), ("c", "0x8086", "0x030000")]
    {
        write(&format!("pci/{device}/vendor"), vendor);
        write(&format!("pci/{device}/class"), class);
    }
    assert_eq!(on_bus(&root.path().join("pci")), 1);
    let text = "//\n.version 8.0\n.target sm_90\n.address_size 64\n";
    assert_eq!(carried(text), Some(CARRIED[0]));
    assert_eq!(carried("no PTX"), None);
}
