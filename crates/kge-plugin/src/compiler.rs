//! Compiling components, here or in a process of its own.
//!
//! A small component can be made to take a compiler long and much memory. In a process of its own
//! it is ended by a deadline and a limit, and the server lives on.

use std::{
    ffi::OsString,
    io::{Read, Write},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use wasmtime::Engine;

use crate::{Error, Limits, Result, host};

/// How the child begins what it writes.
const CODE: u8 = 0;
const WORDS: u8 = 1;

/// How often the deadline is looked at.
const TICK: Duration = Duration::from_millis(5);

/// A program that compiles: it is called with its arguments and `--memory BYTES`, and does what
/// [`compile_for_parent`] does with standard input and output.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The program.
    pub program: PathBuf,
    /// What it is called with before the limit.
    pub arguments: Vec<OsString>,
}

/// Reads a component and writes its machine code, or why there is none.
///
/// # Errors
/// If it cannot read or write, or the engine does not start.
pub fn compile_for_parent(mut input: impl Read, mut output: impl Write) -> Result<()> {
    let file = |source| Error::File { path: "standard input or output".into(), source };
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(file)?;
    let engine = host::engine(&Limits::default());
    let engine = engine.map_err(|error| Error::Engine(error.to_string()))?;
    let (kind, content) = match words(&engine, &bytes) {
        Ok(code) => (CODE, code),
        Err(words) => (WORDS, words.into_bytes()),
    };
    output.write_all(&[kind]).and_then(|()| output.write_all(&content)).map_err(file)?;
    output.flush().map_err(file)
}

/// The machine code of a component.
pub(crate) fn machine_code(
    engine: &Engine,
    compiler: Option<&Compiler>,
    limits: &Limits,
    bytes: &[u8],
) -> Result<Vec<u8>> {
    match compiler {
        None => words(engine, bytes).map_err(Error::NotAComponent),
        Some(compiler) => compiler.run(limits, bytes),
    }
}

/// The machine code of a component, or what is wrong with it.
fn words(engine: &Engine, bytes: &[u8]) -> std::result::Result<Vec<u8>, String> {
    engine.precompile_component(bytes).map_err(|error| match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => {
            "a core WebAssembly module, not a component (kge plugin build makes one of it)".into()
        }
        Some([0, b'a', b's', b'm', ..]) => format!("{error:#}"),
        _ => "no WebAssembly component at all".into(),
    })
}

impl Compiler {
    fn run(&self, limits: &Limits, bytes: &[u8]) -> Result<Vec<u8>> {
        let failed = |source| Error::File { path: self.program.clone(), source };
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .arg("--memory")
            .arg(limits.compile_memory_bytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        thread::scope(|scope| {
            // A child that ends early reads no further; what it wrote says why.
            scope.spawn(move || input.map(|mut input| input.write_all(bytes)));
            let written = scope.spawn(move || {
                let mut written = Vec::new();
                output.map_or(Ok(0), |mut output| output.read_to_end(&mut written))?;
                Ok(written)
            });
            let deadline = Instant::now() + limits.compile_deadline;
            let status = loop {
                match child.try_wait().map_err(failed)? {
                    Some(status) => break Some(status),
                    None if Instant::now() < deadline => thread::sleep(TICK),
                    None => {
                        child.kill().and_then(|()| child.wait()).map_err(failed)?;
                        break None;
                    }
                }
            };
            let written = written.join().unwrap_or_else(|_| Ok(Vec::new())).map_err(failed)?;
            match (status, written.split_first()) {
                (None, _) => {
                    let seconds = limits.compile_deadline.as_secs_f64();
                    Err(Error::Code(format!("takes more than {seconds} s to compile")))
                }
                (Some(status), Some((&CODE, code))) if status.success() => Ok(code.to_owned()),
                (Some(status), Some((&WORDS, words))) if status.success() => {
                    Err(Error::NotAComponent(String::from_utf8_lossy(words).into_owned()))
                }
                (Some(status), _) => {
                    let mebibytes = limits.compile_memory_bytes >> 20;
                    Err(Error::Code(format!(
                        "does not compile within {mebibytes} MiB: the compiler ended with {status}"
                    )))
                }
            }
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A shell in the compiler's place.
    fn shell(script: &str, limits: &Limits) -> Result<Vec<u8>> {
        let arguments = vec!["-c".into(), script.into()];
        Compiler { program: "/bin/sh".into(), arguments }.run(limits, &[7; 100_000])
    }

    #[test]
    fn a_compiler_answers_in_code_or_words() {
        let limits = Limits::default();
        assert_eq!(shell("cat >/dev/null; printf '\\000code'", &limits).unwrap(), b"code");
        let words = shell("printf '\\001no component'", &limits).unwrap_err();
        assert_eq!(words.to_string(), "not a plugin: no component");
    }

    #[test]
    fn a_compiler_that_takes_too_much_is_ended() {
        let limits = Limits { compile_deadline: Duration::from_millis(200), ..Limits::default() };
        let began = Instant::now();
        let words = shell("exec sleep 100", &limits).unwrap_err().to_string();
        assert_eq!(words, "plugin takes more than 0.2 s to compile");
        assert!(began.elapsed() < Duration::from_secs(50));

        let limits = Limits { compile_memory_bytes: 64 << 20, ..Limits::default() };
        let words = shell("kill -ABRT $$", &limits).unwrap_err().to_string();
        assert!(words.starts_with("plugin does not compile within 64 MiB: "), "{words}");
        let missing = Compiler { program: "/no/compiler".into(), arguments: Vec::new() };
        let words = missing.run(&limits, b"").unwrap_err().to_string();
        assert!(words.starts_with("/no/compiler: "), "{words}");
    }

    #[test]
    fn a_child_compiles_as_its_parent_would() {
        let mut output = Vec::new();
        compile_for_parent(&b"not wasm"[..], &mut output).unwrap();
        assert_eq!(output, b"\x01no WebAssembly component at all");
    }
}
