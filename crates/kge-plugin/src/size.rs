//! How much there is to compile, known before any of it is compiled.
//!
//! Compiling a function takes time and memory that may grow faster than its size, so that a
//! small component could occupy a server for minutes; many small functions cannot.

use wasmparser::{Parser, Payload};

use crate::{Error, Limits, Result};

/// Refuses a component that is too large, or whose code is cut too coarsely or too finely.
///
/// # Errors
/// If so, in words. What is no WebAssembly passes: the compiler says that better.
pub(crate) fn admit(bytes: &[u8], limits: &Limits) -> Result<()> {
    if bytes.len() > limits.component_bytes {
        return Err(Error::TooLarge { found: bytes.len(), limit: limits.component_bytes });
    }
    let mut functions = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        let Ok(payload) = payload else { return Ok(()) };
        if let Payload::CodeSectionEntry(body) = payload {
            functions += 1;
            let range = body.range();
            let length = range.end - range.start;
            if length > limits.function_bytes {
                let limit = limits.function_bytes;
                return Err(Error::Code(format!(
                    "has a function of {length} bytes, {limit} at most"
                )));
            }
        }
    }
    match functions > limits.functions {
        true => {
            Err(Error::Code(format!("has {functions} functions, {} at most", limits.functions)))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A core module with these function bodies.
    fn module(bodies: &[Vec<u8>]) -> Vec<u8> {
        fn leb(mut value: usize) -> Vec<u8> {
            let mut bytes = Vec::new();
            while value > 127 {
                bytes.push((value & 127) as u8 | 128);
                value >>= 7;
            }
            bytes.push(value as u8);
            bytes
        }
        let section = |id: u8, content: Vec<u8>| [vec![id], leb(content.len()), content].concat();
        let count = leb(bodies.len());
        let sized = bodies.iter().flat_map(|body| [leb(body.len()), body.clone()].concat());
        [
            b"\0asm\x01\0\0\0".to_vec(),
            section(1, vec![1, 0x60, 0, 0]),
            section(3, [count.clone(), vec![0; bodies.len()]].concat()),
            section(10, [count, sized.collect()].concat()),
        ]
        .concat()
    }

    #[test]
    fn code_is_cut_neither_too_coarsely_nor_too_finely() {
        let limits = Limits { function_bytes: 100, functions: 3, ..Limits::default() };
        // No locals, some nops, end.
        let body = |nops: usize| [vec![0], vec![1; nops], vec![0x0b]].concat();
        assert!(admit(&module(&[body(10), body(98)]), &limits).is_ok());
        let refusal = |bodies: &[Vec<u8>]| admit(&module(bodies), &limits).unwrap_err().to_string();
        assert_eq!(refusal(&[body(99)]), "plugin has a function of 101 bytes, 100 at most");
        assert_eq!(
            refusal(&[body(1), body(1), body(1), body(1)]),
            "plugin has 4 functions, 3 at most"
        );
        assert!(admit(b"not wasm", &limits).is_ok());
    }
}
