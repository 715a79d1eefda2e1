//! The building blocks of XDR types and the notation that `layout` is written in.
//!
//! A type is never instantiated: it only knows how to pass over its own encoding. Constant-size
//! types are passed in one step, and arrays of them in one multiplication.

use std::marker::PhantomData;

use super::cursor::{self, Input};
use super::trace::Trace;

/// How deep values of a recursive type may nest within one another, which bounds the stack. Soroban
/// itself reads and writes no XDR deeper than 500.
pub const MAX_DEPTH: u32 = 750;

/// A type of the layout.
pub trait Xdr {
    /// Every encoding of the type has `SIZE` bytes.
    const FIXED: bool;
    /// Bytes of every encoding; without meaning where not `FIXED`.
    const SIZE: usize;
    /// A `FIXED` type that holds values worth checking: bools, enums, union arms.
    const CHECKED: bool;

    /// Check a `FIXED` value; at least `SIZE` bytes are there.
    fn check(_bytes: Input<'_>) -> bool {
        true
    }

    /// Pass over one value; `None` where the bytes are not one.
    fn skip(bytes: Input<'_>, depth: u32) -> Option<Input<'_>>;

    /// Pass over one value as `skip` does, and note in `trace` where and why that fails.
    fn trace<'a>(bytes: Input<'a>, depth: u32, trace: &mut Trace) -> Option<Input<'a>>;
}

/// Pass over one value at full depth.
#[inline(always)]
pub fn skip<T: Xdr>(bytes: Input<'_>) -> Option<Input<'_>> {
    pass::<T>(bytes, MAX_DEPTH)
}

/// Pass over one value: one step where its size is constant.
#[inline(always)]
pub fn pass<T: Xdr>(bytes: Input<'_>, depth: u32) -> Option<Input<'_>> {
    if T::FIXED { fixed::<T>(bytes) } else { T::skip(bytes, depth) }
}

/// Pass over a value of constant size.
#[inline(always)]
pub fn fixed<T: Xdr>(bytes: Input<'_>) -> Option<Input<'_>> {
    let rest = bytes.get(T::SIZE..)?;
    (!T::CHECKED || T::check(bytes)).then_some(rest)
}

/// Bytes of constant number and any content.
macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident $size:expr;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Xdr for $name {
            const FIXED: bool = true;
            const SIZE: usize = $size;
            const CHECKED: bool = false;

            #[inline(always)]
            fn skip(bytes: Input<'_>, _: u32) -> Option<Input<'_>> {
                bytes.get($size..)
            }

            fn trace<'a>(bytes: Input<'a>, _: u32, trace: &mut Trace) -> Option<Input<'a>> {
                trace.read(bytes, bytes.get($size..), $size)
            }
        }
    )*};
}

plain! {
    /// Nothing.
    Void 0;
    /// unsigned int
    U32 4;
    /// int
    I32 4;
    /// unsigned hyper
    U64 8;
    /// hyper
    I64 8;
}

/// opaque[N]; every one in the protocol is a multiple of four long.
pub struct Opaque<const N: usize>;

impl<const N: usize> Xdr for Opaque<N> {
    const FIXED: bool = true;
    const SIZE: usize = N;
    const CHECKED: bool = false;

    #[inline(always)]
    fn skip(bytes: Input<'_>, _: u32) -> Option<Input<'_>> {
        bytes.get(N..)
    }

    fn trace<'a>(bytes: Input<'a>, _: u32, trace: &mut Trace) -> Option<Input<'a>> {
        trace.read(bytes, bytes.get(N..), N)
    }
}

/// A constant-size T, N times.
pub struct Repeat<T, const N: usize>(PhantomData<T>);

impl<T: Xdr, const N: usize> Xdr for Repeat<T, N> {
    const FIXED: bool = true;
    const SIZE: usize = T::SIZE * N;
    const CHECKED: bool = false;

    #[inline(always)]
    fn skip(bytes: Input<'_>, _: u32) -> Option<Input<'_>> {
        bytes.get(Self::SIZE..)
    }

    fn trace<'a>(bytes: Input<'a>, _: u32, trace: &mut Trace) -> Option<Input<'a>> {
        const { assert!(T::FIXED && !T::CHECKED) };
        trace.read(bytes, bytes.get(Self::SIZE..), Self::SIZE)
    }
}

/// An enum of the values LOW to HIGH; a bool is one of 0 to 1.
pub struct Enum<const LOW: i32, const HIGH: i32>;

/// bool
pub type Bool = Enum<0, 1>;

impl<const LOW: i32, const HIGH: i32> Xdr for Enum<LOW, HIGH> {
    const FIXED: bool = true;
    const SIZE: usize = 4;
    const CHECKED: bool = true;

    #[inline(always)]
    fn check(bytes: Input<'_>) -> bool {
        matches!(cursor::i32(bytes), Some((value, _)) if LOW <= value && value <= HIGH)
    }

    #[inline(always)]
    fn skip(bytes: Input<'_>, _: u32) -> Option<Input<'_>> {
        fixed::<Self>(bytes)
    }

    fn trace<'a>(bytes: Input<'a>, _: u32, trace: &mut Trace) -> Option<Input<'a>> {
        let (value, rest) = trace.read(bytes, cursor::i32(bytes), 4)?;
        if (LOW..=HIGH).contains(&value) {
            return Some(rest);
        }
        trace.fault(bytes, || format!("is {value}, not one of {LOW} to {HIGH}"))
    }
}

/// opaque<MAX> or string<MAX>
pub struct Bytes<const MAX: u32 = { u32::MAX }>;

impl<const MAX: u32> Xdr for Bytes<MAX> {
    const FIXED: bool = false;
    const SIZE: usize = 0;
    const CHECKED: bool = false;

    #[inline]
    fn skip(bytes: Input<'_>, _: u32) -> Option<Input<'_>> {
        let (value, rest) = cursor::opaque(bytes)?;
        (value.len() as u64 <= u64::from(MAX)).then_some(rest)
    }

    fn trace<'a>(bytes: Input<'a>, _: u32, trace: &mut Trace) -> Option<Input<'a>> {
        let (length, after) = trace.read(bytes, cursor::u32(bytes), 4)?;
        if length > MAX {
            return trace.fault(bytes, || format!("is {length} bytes long, more than {MAX}"));
        }
        let padded = (length as usize).div_ceil(4) * 4;
        trace.read(after, after.get(padded..), padded)?;
        match cursor::opaque(bytes) {
            Some((_, rest)) => Some(rest),
            None => trace.fault(after, || "is padded with bytes that are not zero".into()),
        }
    }
}

/// An optional T.
pub struct Optional<T>(PhantomData<T>);

impl<T: Xdr> Xdr for Optional<T> {
    const FIXED: bool = false;
    const SIZE: usize = 0;
    const CHECKED: bool = false;

    #[inline]
    fn skip(bytes: Input<'_>, depth: u32) -> Option<Input<'_>> {
        match cursor::u32(bytes)? {
            (0, rest) => Some(rest),
            (1, rest) => pass::<T>(rest, depth),
            _ => None,
        }
    }

    fn trace<'a>(bytes: Input<'a>, depth: u32, trace: &mut Trace) -> Option<Input<'a>> {
        match trace.read(bytes, cursor::u32(bytes), 4)? {
            (0, rest) => Some(rest),
            (1, rest) => T::trace(rest, depth, trace),
            (other, _) => trace.fault(bytes, || format!("is {other}, neither 0 nor 1")),
        }
    }
}

/// T<MAX>
pub struct Array<T, const MAX: u32 = { u32::MAX }>(PhantomData<T>);

impl<T: Xdr, const MAX: u32> Xdr for Array<T, MAX> {
    const FIXED: bool = false;
    const SIZE: usize = 0;
    const CHECKED: bool = false;

    #[inline]
    fn skip(bytes: Input<'_>, depth: u32) -> Option<Input<'_>> {
        let (count, mut bytes) = cursor::u32(bytes)?;
        if count > MAX {
            return None;
        }
        if T::FIXED && !T::CHECKED {
            return bytes.get((count as usize).checked_mul(T::SIZE)?..);
        }
        for _ in 0..count {
            bytes = pass::<T>(bytes, depth)?;
        }
        Some(bytes)
    }

    fn trace<'a>(bytes: Input<'a>, depth: u32, trace: &mut Trace) -> Option<Input<'a>> {
        let (count, mut rest) = trace.read(bytes, cursor::u32(bytes), 4)?;
        if count > MAX {
            return trace.fault(bytes, || format!("has {count} elements, more than {MAX}"));
        }
        if T::FIXED && !T::CHECKED {
            let size = (count as usize).saturating_mul(T::SIZE);
            return trace.read(rest, rest.get(size..), size);
        }
        for index in 0..count {
            rest = trace.index::<T>(index, rest, depth)?;
        }
        Some(rest)
    }
}

/// A T within another. Each cycle of the layout passes through one of these, and nothing else
/// counts: so a value is too deep or not wherever one begins to read.
pub struct Nested<T>(PhantomData<T>);

impl<T: Xdr> Xdr for Nested<T> {
    const FIXED: bool = false;
    const SIZE: usize = 0;
    const CHECKED: bool = false;

    #[inline]
    fn skip(bytes: Input<'_>, depth: u32) -> Option<Input<'_>> {
        T::skip(bytes, depth.checked_sub(1)?)
    }

    fn trace<'a>(bytes: Input<'a>, depth: u32, trace: &mut Trace) -> Option<Input<'a>> {
        match depth.checked_sub(1) {
            Some(depth) => T::trace(bytes, depth, trace),
            None => trace.fault(bytes, || format!("is nested in more than {MAX_DEPTH} others")),
        }
    }
}

/// Whether all numbers are the same.
pub const fn all_equal(numbers: &[usize]) -> bool {
    match numbers {
        [first, second, ..] if *first != *second => false,
        [_, rest @ ..] => all_equal(rest),
        [] => true,
    }
}
