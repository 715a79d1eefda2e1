//! A position in XDR bytes is the slice that remains; every read hands back the slice after it.

/// What remains to be read.
pub type Input<'a> = &'a [u8];

/// Read N bytes as they lie.
#[inline(always)]
pub fn array<const N: usize>(bytes: Input<'_>) -> Option<(&[u8; N], Input<'_>)> {
    bytes.split_first_chunk::<N>()
}

/// Read an unsigned int.
#[inline(always)]
pub fn u32(bytes: Input<'_>) -> Option<(u32, Input<'_>)> {
    array(bytes).map(|(value, rest)| (u32::from_be_bytes(*value), rest))
}

/// Read an int.
#[inline(always)]
pub fn i32(bytes: Input<'_>) -> Option<(i32, Input<'_>)> {
    array(bytes).map(|(value, rest)| (i32::from_be_bytes(*value), rest))
}

/// Read an unsigned hyper.
#[inline(always)]
pub fn u64(bytes: Input<'_>) -> Option<(u64, Input<'_>)> {
    array(bytes).map(|(value, rest)| (u64::from_be_bytes(*value), rest))
}

/// Read a hyper.
#[inline(always)]
pub fn i64(bytes: Input<'_>) -> Option<(i64, Input<'_>)> {
    array(bytes).map(|(value, rest)| (i64::from_be_bytes(*value), rest))
}

/// Read whether an optional holds a value, which then follows.
#[inline(always)]
pub fn present(bytes: Input<'_>) -> Option<(bool, Input<'_>)> {
    match u32(bytes)? {
        (0, rest) => Some((false, rest)),
        (1, rest) => Some((true, rest)),
        _ => None,
    }
}

/// Pass over a union's discriminant, an enum or a version, if it is this one.
#[inline(always)]
pub fn arm(bytes: Input<'_>, discriminant: u32) -> Option<Input<'_>> {
    bytes.strip_prefix(&discriminant.to_be_bytes())
}

/// Read a variable-length opaque or string: its bytes without length and padding.
#[inline(always)]
pub fn opaque(bytes: Input<'_>) -> Option<(&[u8], Input<'_>)> {
    let (length, bytes) = u32(bytes)?;
    let length = length as usize;
    let (padded, rest) = bytes.split_at_checked(length.checked_add(3)? & !3)?;
    let (value, padding) = padded.split_at_checked(length)?;
    padding.iter().all(|&byte| byte == 0).then_some((value, rest))
}

/// The bytes between two positions of the same buffer, `from` the earlier.
#[inline(always)]
pub fn between<'a>(from: Input<'a>, to: Input<'a>) -> &'a [u8] {
    from.get(..from.len().wrapping_sub(to.len())).unwrap_or_default()
}
