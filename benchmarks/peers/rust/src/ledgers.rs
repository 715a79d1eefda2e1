//! Cuts a record-marked stream into ledgers.

/// The high bit of a mark says that the fragment is the record's last, which stellar-core always sets; the rest is the length.
const LENGTH: u32 = !(1 << 31);

/// Returns the bytes of each ledger.
pub fn split(mut data: &[u8]) -> Result<Vec<&[u8]>, String> {
    let mut ledgers = Vec::new();
    while let Some((mark, rest)) = data.split_first_chunk::<4>() {
        let size = (u32::from_be_bytes(*mark) & LENGTH) as usize;
        let (ledger, rest) = rest
            .split_at_checked(size)
            .ok_or_else(|| format!("ledger {} is cut off", ledgers.len()))?;
        ledgers.push(ledger);
        data = rest;
    }
    if !data.is_empty() {
        return Err(format!(
            "a record mark is cut off after ledger {}",
            ledgers.len()
        ));
    }
    Ok(ledgers)
}
