use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use suite::nvml::Surveyed;
use suite::peers::python::Interpreter;

use super::cpu::Noise;
use super::gpu::Carried;
use super::python::Python;
use super::*;

const CARRIED: [Carried; 2] =
    [Carried { ptx: (8, 0), capability: (9, 0) }, Carried { ptx: (7, 4), capability: (7, 5) }];

fn ok(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn err<T>(text: &str) -> Result<T, String> {
    Err(text.to_owned())
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A machine on which all is well.
fn well() -> Machine {
    let gpu = Surveyed {
        name: "NVIDIA H200".to_owned(),
        capability: Some((9, 0)),
        memory: Some((600_000_000, 150_000_000_000)),
        ..Surveyed::default()
    };
    Machine {
        carried: CARRIED.to_vec(),
        driver: Ok(()),
        survey: Survey { driver: some("580.65.06"), cuda: Some((13, 0)), gpus: vec![gpu] },
        module: some("580.65.06"),
        container: None,
        on_bus: 1,
        closed_nodes: Vec::new(),
        visible: None,
        gpu_sort: ok("NVIDIA H200"),
        cores: 8,
        online_cores: Some(8),
        governor: some("performance"),
        memory: Some(Room { bytes: 16_000_000_000, what: "memory".to_owned() }),
        classic: Ok(()),
        cpu_sort: Ok(Noise { median_s: 2e-3, high_s: 2.1e-3 }),
        checkout: true,
        kernel_compiler: Some(ok("rustc 1.96.0 at /usr/bin/rustc")),
        cargo: ok("cargo 1.95.0"),
        git: ok("git version 2.39"),
        linker: ok("cc links"),
        nvcc: ok("CUB is compiled by /usr/local/cuda/bin/nvcc"),
        pythons: vec![python("/usr/bin/python3", true, "3.12.1", Ok("14.0.0"))],
    }
}

/// A machine whose driver does not open for this reason.
fn without_driver(finding: &str, remedy: &str) -> Machine {
    let reason = Reason { status: None, finding: finding.to_owned(), remedy: remedy.to_owned() };
    Machine {
        driver: Err(reason),
        survey: Survey::default(),
        module: None,
        on_bus: 0,
        gpu_sort: err("no driver"),
        ..well()
    }
}

fn python(path: &str, is_used: bool, version: &str, cupy: Result<&str, &str>) -> Python {
    let answer = Interpreter { version: version.to_owned(), prefix: path.to_owned() };
    let cupy = cupy.map(str::to_owned).map_err(str::to_owned);
    Python { path: path.into(), is_used, answer: Ok(answer), libraries: vec![cupy, ok("2.9.0")] }
}

/// Asserts that all is well but for one subject: `state name | sentence | remedy`, of which
/// the last two need not be whole.
#[track_caller]
fn amiss(machine: &Machine, expected: &str) {
    let mut parts = expected.split(" | ");
    let [subject, sentence, remedy] = [(); 3].map(|()| parts.next().unwrap());
    let found = Report::of(machine).findings.into_iter();
    let found: Vec<Finding> = found.filter(|finding| finding.state != Well).collect();
    assert_eq!(found.len(), 1, "{expected}: {found:#?}");
    let Finding { state, name, finding, remedy: Some(found_remedy) } = &found[0] else {
        panic!("no remedy: {found:#?}");
    };
    assert_eq!(format!("{state:?} {name}").to_lowercase(), subject, "{finding}");
    assert!(finding.contains(sentence), "{finding}");
    assert!(found_remedy.contains(remedy), "{found_remedy}");
}

/// A change of the machine where all is well, and its finding.
type Case = (fn(&mut Machine), &'static str);

/// Asserts of each change of the machine where all is well that there is this finding.
#[track_caller]
fn each_is_found<const N: usize>(cases: [Case; N]) {
    for (change, expected) in cases {
        let mut machine = well();
        change(&mut machine);
        amiss(&machine, expected);
    }
}

#[test]
fn nothing_is_amiss_where_a_gpu_sorts() {
    let report = Report::of(&well());
    assert!(report.findings.iter().all(|finding| finding.state == Well), "{report:#?}");
    for sentence in [
        "the program carries PTX 8.0 from compute capability 9.0 on (CUDA 12.0, driver 525), and \
         PTX 7.4 from compute capability 7.5 on (CUDA 11.4, driver 470)",
        "NVIDIA driver 580.65.06 (CUDA 13.0)",
        "GPU 0 is NVIDIA H200, compute capability 9.0, 150.0 GB",
        "NVIDIA H200 sorts 100000 keys, and the result is right",
        "/usr/bin/python3 (Python 3.12.1) has CuPy 14.0.0",
    ] {
        assert!(report.findings.iter().any(|found| found.finding == sentence), "{report:#?}");
    }
    let unknown = Machine { online_cores: None, governor: None, memory: None, ..well() };
    assert!(Report::of(&unknown).findings.iter().all(|finding| finding.state == Well));
}

#[test]
fn a_missing_driver_has_the_remedy_for_the_machine() {
    let none = || without_driver("no NVIDIA driver (libcuda.so.1 not found)", "install it");
    let (module, docker) = (|| some("580.65.06"), || some("docker"));
    for (machine, finding) in [
        (none(), "no NVIDIA GPU and no driver | xtask bundle"),
        (Machine { on_bus: 2, ..none() }, "2 NVIDIA GPUs on the PCI bus | nvidia-driver"),
        (Machine { module: module(), ..none() }, "has driver 580.65.06, but | LD_LIBRARY_PATH"),
        (Machine { container: docker(), ..none() }, "docker container was given no | --gpus all"),
        (
            Machine { container: docker(), module: module(), ..none() },
            "given no GPU, though its host has driver 580.65.06 | nvidia.com/gpu: 1",
        ),
        (without_driver("it does not load (bad ELF)", "again"), "does not load (bad ELF) | again"),
        (without_driver("it does not start: 802", "start it so"), "not start: 802 | start it so"),
        (without_driver("a.so is a stub library", "LD_LIBRARY_PATH"), "a.so is a stub | LD_LIB"),
    ] {
        amiss(&machine, &format!("fault driver | {finding}"));
    }
}

#[test]
fn a_driver_is_too_old_for_the_kernels_that_the_gpu_takes() {
    let mut machine = well();
    machine.survey.cuda = Some((11, 8));
    amiss(&machine, "fault driver | which needs CUDA 12.0 | driver 525 or later");
    machine.survey.gpus[0].capability = Some((8, 6));
    assert!(gpu::too_old(&machine).is_none());
    machine.survey.cuda = Some((11, 0));
    amiss(&machine, "fault driver | which needs CUDA 11.4 | driver 470 or later");
    assert_eq!(gpu::needed((9, 0)), ((13, 0), "580"));
    assert_eq!(gpu::needed((8, 7)), ((12, 8), "575"));
}

#[test]
fn each_trouble_of_a_gpu_is_found() {
    let hidden =
        |visible: &str| Machine { visible: some(visible), gpu_sort: err("none"), ..well() };
    amiss(&hidden(""), "fault visible-devices | CUDA_VISIBLE_DEVICES=`` hides | unset");
    amiss(&hidden("7"), "fault visible-devices | =`7` hides the GPUs that work (none) | 0");
    each_is_found([
        (
            |of| of.survey.gpus[0].capability = Some((7, 0)),
            "fault gpu | capability 7.0 | 7.5 or later",
        ),
        (
            |of| of.survey.gpus[0].mig = true,
            "warning mig | GPU 0 is cut into instances (MIG) | -i 0 -mig 0",
        ),
        (
            |of| of.survey.gpus[0].restricted = Some("Prohibited"),
            "fault compute-mode | mode Prohibited | -c DEFAULT",
        ),
        (
            |of| of.survey.gpus[0].restricted = Some("ExclusiveProcess"),
            "warning compute-mode | mode ExclusiveProcess | -c DEFAULT",
        ),
        (
            |of| of.survey.gpus[0].uncorrected_errors = 3,
            "warning ecc | had 3 memory errors | -i 0 -r",
        ),
        (
            |of| of.survey.gpus[0].memory = Some((70_000_000_000, 80_000_000_000)),
            "warning memory-held | 70.0 GB in use by 0 other programs | nvidia-smi -i 0",
        ),
        (|of| of.survey.gpus[0].programs = 2, "warning memory-held | by 2 other | nvidia-smi -i 0"),
        (
            |of| of.survey.gpus[0].slowdowns = vec!["power-cap".to_owned()],
            "warning slowdown | is slowed down by power-cap | let it cool",
        ),
        (|of| of.gpu_sort = err("looking: none; again"), "fault sort | looking: none | again"),
        (|of| of.carried.clear(), "fault kernels | without a kernel compiler | xtask setup"),
        (
            |of| of.closed_nodes = vec![("/dev/nvidia0".into(), "Permission denied".to_owned())],
            "fault device-node | /dev/nvidia0 cannot be opened: Permission denied | chmod a+rw /dev/nvidia0",
        ),
    ]);
}

#[test]
fn each_cause_on_the_cpu_is_found() {
    each_is_found([
        (|of| of.cores = 2, "warning cores | 2 of 8 cores may be used | taskset -cp"),
        (
            |of| of.governor = some("powersave"),
            "warning governor | the CPU's governor is powersave, so its clock depends on what ran before | cpupower",
        ),
        (
            |of| of.classic = err("n = 5 needs 9 MB; choose"),
            "warning memory | n = 5 needs 9 MB | or give `--n` a smaller number",
        ),
        (
            |of| of.cpu_sort = Ok(Noise { median_s: 2e-3, high_s: 3e-3 }),
            "warning noise | of sorts that take 2.00 ms, one in ten takes 50 % longer or more | `top`",
        ),
        (
            |of| of.cpu_sort = err("cannot start 1 threads: no; fewer"),
            "fault sort-cpu | cannot start 1 threads: no | fewer",
        ),
    ]);
    let noise = cpu::spread((0..100).rev().map(f64::from).collect());
    assert_eq!((noise.median_s, noise.high_s), (50.0, 90.0));
    assert!(cpu::online_cores() >= Some(environment::cores()));
}

#[test]
fn each_cause_that_keeps_from_building_is_found() {
    const NONE: &str = "no kernel compiler found; run `cargo xtask setup` (/usr/bin/rustc: old)";
    const FOREIGN: &str = "`git rev-parse` fails: fatal: detected dubious ownership in repository";
    each_is_found([
        (
            |of| of.kernel_compiler = Some(err(NONE)),
            "warning kernel-compiler | no kernel compiler | run `cargo xtask",
        ),
        (
            |of| of.kernel_compiler = Some(err("newer")),
            "warning kernel-compiler | newer | xtask setup",
        ),
        (|of| of.cargo = err("none"), "warning cargo | none | rustup.rs"),
        (|of| of.git = err("none"), "warning git | none | apt-get install git"),
        (|of| of.git = err(FOREIGN), "warning git | dubious ownership | safe.directory"),
        (|of| of.linker = err("none"), "warning linker | none | libc6-dev"),
        (|of| of.nvcc = err("none"), "note nvcc | none | NVCC=PATH"),
    ]);
    let cargo = err("cargo is not on the path");
    let bundle = Machine { checkout: false, kernel_compiler: None, cargo, ..well() };
    let notes = Report::of(&bundle).findings.into_iter().filter(|found| found.state == Note);
    let names: Vec<_> = notes.map(|found| found.name).collect();
    assert_eq!(names, ["checkout", "cargo"]);
}

#[test]
fn a_program_that_is_missing_or_fails_is_named() {
    let run = |program, arguments: &[&str]| build::run(program, arguments, Path::new("."));
    let missing = run("cudamark-no-such-program", &[]).unwrap_err();
    assert_eq!(missing, "cudamark-no-such-program is not on the path");
    let fails = run("sh", &["-c", "echo; echo why >&2; exit 3"]).unwrap_err();
    assert!(fails.ends_with("fails: why"), "{fails}");
    let silent = run("sh", &["-c", "exit 3"]).unwrap_err();
    assert!(silent.ends_with("fails: exit status: 3"), "{silent}");
    assert_eq!(run("sh", &["-c", "echo; echo one; echo two"]).unwrap(), "one");
}

#[test]
fn each_trouble_of_a_python_is_found() {
    let reason = "AttributeError: attribute '__name__' is not writable";
    let used = |version, cupy| python("/usr/bin/python3", true, version, cupy);
    let with = |pythons: &[Python]| Machine { pythons: pythons.to_vec(), ..well() };
    amiss(&with(&[]), "warning python | no Python is found | CUDAMARK_PYTHON=PATH");
    let old = used("2.7.18", Ok("1"));
    let sentence = "/usr/bin/python3 is Python 2.7.18, and peers need Python 3";
    amiss(&with(&[old]), &format!("warning python | {sentence} | names another"));
    let mut none = used("", Ok("1"));
    none.answer = err("it ended (exit status: 0)");
    let sentence = "does not answer as Python does: it ended (exit status: 0)";
    amiss(&with(&[none]), &format!("warning python | {sentence} | off the path"));

    let fails = used("3.13.0", Err(reason));
    let sentence = format!("CuPy does not import in /usr/bin/python3 (Python 3.13.0): {reason}");
    let install = "-m pip install -U cupy-cuda13x";
    let machine = with(std::slice::from_ref(&fails));
    amiss(&machine, &format!("warning cupy | {sentence} | {install}"));
    let other = python("/opt/bin/python", false, "3.12.1", Ok("13.6.0"));
    let of_cupy = |pythons: &[Python]| -> Vec<(State, Option<String>)> {
        let found = Report::of(&with(pythons)).findings.into_iter();
        let cupy = found.filter(|finding| finding.name == "cupy");
        cupy.map(|finding| (finding.state, finding.remedy)).collect()
    };
    let chosen = some("CUDAMARK_PYTHON=/opt/bin/python");
    assert_eq!(of_cupy(&[fails, other]), [(Warning, chosen.clone()), (Note, chosen)]);
    let other = python("/opt/bin/python", false, "3.9.1", Err("No module named 'cupy'"));
    let found = of_cupy(&[used("3.12.1", Ok("14.0.0")), other]);
    assert_eq!((&found[0], found[1].0), (&(Well, None), Note));
}

#[test]
fn the_files_of_the_system_are_read() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    let write = |path: &str, text: &str| {
        fs::create_dir_all(at(path).parent().unwrap()).unwrap();
        fs::write(at(path), text).unwrap();
    };
    write("version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun\n");
    assert_eq!(gpu::module(&at("version")).as_deref(), Some("535.54.03"));
    for (device, vendor, class) in
        [("a", "0x10de", "0x030200"), ("b", "0x10de", "0x040300"), ("c", "0x8086", "0x030000")]
    {
        write(&format!("pci/{device}/vendor"), vendor);
        write(&format!("pci/{device}/class"), class);
    }
    assert_eq!(gpu::on_bus(&at("pci")), 1);
    let text = "//\n.version 8.0\n.target sm_90\n.address_size 64\n";
    assert_eq!(gpu::head(text), Some(CARRIED[0]));
    assert_eq!(gpu::head("no PTX"), None);

    assert_eq!(gpu::closed_nodes(root.path()), []);
    for name in ["nvidia0", "nvidiactl", "nvidia-modeset"] {
        write(&format!("dev/{name}"), "");
    }
    symlink("/no/such/node", at("dev/nvidia1")).unwrap();
    let closed: Vec<PathBuf> =
        gpu::closed_nodes(&at("dev")).into_iter().map(|(path, _)| path).collect();
    assert_eq!(closed, [at("dev/nvidia-uvm"), at("dev/nvidia1")]);

    for name in ["python", "python3.12", "python-config", "pythonw", "python3-config", "perl"] {
        write(&format!("bin/{name}"), "");
    }
    fs::create_dir(at("bin/python3")).unwrap();
    let found = python::named_as_pythons(&at("bin"));
    assert_eq!(found, [at("bin/python"), at("bin/python3.12")]);
    assert_eq!(python::named_as_pythons(Path::new("/no/such/folder")), [""; 0].map(PathBuf::from));
}

#[test]
fn the_exit_code_says_what_can_run() {
    for (gpu, cpu, code, can_run) in
        [(true, true, 0, "gpu"), (false, true, 3, "cpu"), (false, false, 1, "nothing")]
    {
        let mut machine = well();
        if !gpu {
            machine.gpu_sort = err("broken");
        }
        if !cpu {
            machine.cpu_sort = err("broken");
        }
        let report = Report::of(&machine);
        assert_eq!((report.exit_code, report.can_run), (code, can_run));
    }
    let cpu_only = Report::of(&Machine { gpu_sort: err("broken"), ..well() }).text();
    assert!(cpu_only.ends_with("on the CPU; those of a GPU are skipped.\n"), "{cpu_only}");
}

#[test]
fn each_finding_has_one_sentence_and_its_remedy_in_both_forms() {
    let report =
        Report::of(&Machine { gpu_sort: err("broken"), cpu_sort: err("no memory"), ..well() });
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!((&json["version"], &json["exit_code"]), (&2.into(), &1.into()));
    let text = report.text();
    for finding in json["findings"].as_array().unwrap() {
        let sentence = finding["finding"].as_str().unwrap();
        assert!(text.contains(sentence) && !sentence.contains('\n'), "{sentence}");
        let remedy = finding["remedy"].as_str();
        assert_eq!(remedy.is_none(), finding["state"] == "ok", "{finding}");
        assert!(remedy.is_none_or(|remedy| text.contains(remedy)), "{finding}");
    }
}
