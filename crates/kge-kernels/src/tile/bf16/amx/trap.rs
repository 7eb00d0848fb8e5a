//! Tiles on a CPU that has none: their instructions trap as illegal ones, and the signal's handler
//! does as the manual says. So that the assembly is run, operand for operand, wherever tests are.

use std::cell::RefCell;
use std::sync::Once;

use libc::{SA_SIGINFO, SIGILL, c_int, c_void, siginfo_t, ucontext_t};

type Tile = [[u8; 64]; 16];

thread_local! {
    static TILES: RefCell<[Tile; 8]> = const { RefCell::new([[[0; 64]; 16]; 8]) };
}

/// From now on in this process.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_illegal;
        // SAFETY: all zeros are an empty mask and no flags; the handler has the form that
        // SA_SIGINFO asks for.
        let done = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as usize;
            action.sa_flags = SA_SIGINFO;
            libc::sigaction(SIGILL, &raw const action, std::ptr::null_mut())
        };
        assert_eq!(done, 0, "a handler of illegal instructions");
    });
}

extern "C" fn on_illegal(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel hands over the context of this thread, stopped at an instruction.
    let registers = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    // SAFETY: as above; no instruction of ours is the last fifteen bytes of its mapping.
    let code = unsafe { *(registers[libc::REG_RIP as usize] as *const [u8; 15]) };
    match Instruction::decode(&code, registers) {
        Some((instruction, length)) => {
            TILES.with_borrow_mut(|tiles| instruction.run(tiles));
            registers[libc::REG_RIP as usize] += length as i64;
        }
        // Another one: let it end the process as usual.
        // SAFETY: the default action is one for every signal.
        None => unsafe {
            libc::signal(SIGILL, libc::SIG_DFL);
        },
    }
}

enum Instruction {
    Configure,
    Release,
    Zero(usize),
    /// Tile, first row, bytes from row to row.
    Load(usize, i64, i64),
    Store(usize, i64, i64),
    /// Sums, left, right.
    Multiply(usize, usize, usize),
}

impl Instruction {
    /// What stands in the code, and its length in bytes.
    fn decode(code: &[u8; 15], registers: &[i64; 23]) -> Option<(Self, usize)> {
        let &[0xc4, first, second, opcode, form, sib, ..] = code else { return None };
        // Three bytes of VEX: what extends register numbers is inverted.
        let extend = |bit: u8| usize::from(!first >> bit & 1) << 3;
        let (mode, middle, low) = (form >> 6, usize::from(form >> 3 & 7), usize::from(form & 7));
        let (prefix, other) = (second & 3, usize::from(!second >> 3 & 7));
        if first & 31 != 2 {
            return None;
        }
        let whole = |instruction| Some((instruction, 5));
        match (opcode, prefix, mode) {
            (0x49, 0, 3) if form == 0xc0 => return whole(Self::Release),
            (0x49, 3, 3) => return whole(Self::Zero(middle)),
            (0x5c, 2, 3) => return whole(Self::Multiply(middle, low, other)),
            (_, _, 3) => return None,
            _ => {}
        }
        let displacement = match mode {
            0 => 0,
            1 => i64::from(code[6 - usize::from(low != 4)].cast_signed()),
            _ => {
                let at = 6 - usize::from(low != 4);
                i64::from(i32::from_le_bytes(code[at..at + 4].try_into().ok()?))
            }
        };
        let length = 5 + usize::from(low == 4) + [0, 1, 4][usize::from(mode)];
        if (opcode, prefix) == (0x49, 0) {
            return Some((Self::Configure, length));
        }
        if low != 4 || mode == 0 && sib & 7 == 5 {
            return None;
        }
        let base = general(registers, usize::from(sib & 7) | extend(5));
        let index = general(registers, usize::from(sib >> 3 & 7) | extend(6));
        let (address, stride) = (base + displacement, index << (sib >> 6));
        match (opcode, prefix) {
            (0x4b, 3) => Some((Self::Load(middle, address, stride), length)),
            (0x4b, 2) => Some((Self::Store(middle, address, stride), length)),
            _ => None,
        }
    }

    fn run(self, tiles: &mut [Tile; 8]) {
        match self {
            Self::Configure | Self::Release => *tiles = [[[0; 64]; 16]; 8],
            Self::Zero(tile) => tiles[tile] = [[0; 64]; 16],
            Self::Load(tile, address, stride) => {
                for (number, row) in (0..).zip(&mut tiles[tile]) {
                    // SAFETY: whoever loads says that the row is there.
                    *row = unsafe { *((address + number * stride) as *const [u8; 64]) };
                }
            }
            Self::Store(tile, address, stride) => {
                for (number, row) in (0..).zip(&tiles[tile]) {
                    // SAFETY: whoever stores says that the row is there and its own.
                    unsafe { *((address + number * stride) as *mut [u8; 64]) = *row };
                }
            }
            Self::Multiply(sums, left, right) => {
                let (left, right) = (tiles[left], tiles[right]);
                for (row, left) in tiles[sums].iter_mut().zip(&left) {
                    let (places, _) = row.as_chunks_mut::<4>();
                    for (n, place) in places.iter_mut().enumerate() {
                        let mut chains = [0.0_f32; 2];
                        for (k, right) in right.iter().enumerate() {
                            for (half, chain) in chains.iter_mut().enumerate() {
                                let a = bf16(left, 2 * k + half);
                                let b = bf16(right, 2 * n + half);
                                *chain = flushed(a.mul_add(b, *chain));
                            }
                        }
                        let [even, odd] = chains;
                        let sum = flushed(f32::from_le_bytes(*place) + flushed(even + odd));
                        *place = sum.to_le_bytes();
                    }
                }
            }
        }
    }
}

/// A general register by its number in instructions.
fn general(registers: &[i64; 23], number: usize) -> i64 {
    use libc::{REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    use libc::{REG_RAX, REG_RBP, REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RSI, REG_RSP};
    let places = [
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9,
        REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    ];
    registers[places[number] as usize]
}

fn bf16(row: &[u8; 64], place: usize) -> f32 {
    let half = u16::from_le_bytes([row[2 * place], row[2 * place + 1]]);
    flushed(f32::from_bits(u32::from(half) << 16))
}

/// Below the normal numbers there is 0, with its sign.
fn flushed(x: f32) -> f32 {
    if x.is_subnormal() { 0.0_f32.copysign(x) } else { x }
}
