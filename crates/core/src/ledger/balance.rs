//! Balances as the Stellar Asset Contract keeps them for contracts.

use crate::ledger::change::ContractData;
use crate::xdr;
use crate::xdr::discriminants::ContractDataDurability;

/// SCVal Vec[Symbol "Balance", Address of a contract …]
const KEY: &[u8] = b"\0\0\0\x10\0\0\0\x01\0\0\0\x02\0\0\0\x0f\0\0\0\x07Balance\0\
    \0\0\0\x12\0\0\0\x01";
/// SCVal Map{amount: I128 …}, of three entries
const AMOUNT: &[u8] = b"\0\0\0\x11\0\0\0\x01\0\0\0\x03\0\0\0\x0f\0\0\0\x06amount\0\0\0\0\0\x0a";
/// … authorized: Bool …
const AUTHORIZED: &[u8] = b"\0\0\0\x0f\0\0\0\x0aauthorized\0\0\0\0\0\0";
/// … clawback: Bool}
const CLAWBACK: &[u8] = b"\0\0\0\x0f\0\0\0\x08clawback\0\0\0\0";

/// Read holder and amount of an entry of that shape: persistent, the amount not negative.
pub fn read<'a>(data: &ContractData<'a>, val: &[u8]) -> Option<(&'a [u8; 32], i128)> {
    if data.durability != ContractDataDurability::PERSISTENT {
        return None;
    }
    let holder = data.key.strip_prefix(KEY)?.try_into().ok()?;
    let (amount, rest) = xdr::array(val.strip_prefix(AMOUNT)?)?;
    let rest = rest.strip_prefix(AUTHORIZED)?.get(4..)?;
    rest.strip_prefix(CLAWBACK)?;
    let amount = i128::from_be_bytes(*amount);
    (amount >= 0).then_some((holder, amount))
}
