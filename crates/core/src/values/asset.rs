//! Classic assets, their names (SEP-11) and the contracts derived from them.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::values::strkey;
use crate::xdr::discriminants::{
    AssetType, ContractIDPreimageType, EnvelopeType, PublicKeyType, SCValType,
};
use crate::xdr::{self, Input, layout};

/// What a token of the classic ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asset {
    /// Lumens.
    Native,
    /// Issued by an account.
    Credit {
        /// The code's ASCII letters and digits.
        code: Code,
        /// The issuer's ed25519 key.
        issuer: [u8; 32],
    },
}

/// An asset as XDR has it, its code whatever bytes it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RawAsset {
    /// Lumens.
    Native,
    /// Issued by an account.
    Credit {
        /// AlphaNum12, not AlphaNum4.
        long: bool,
        /// The code, padded with zeros.
        code: [u8; 12],
        /// The issuer's ed25519 key.
        issuer: [u8; 32],
    },
}

impl RawAsset {
    /// Read an Asset.
    #[inline]
    pub fn read(bytes: Input<'_>) -> Option<(Self, Input<'_>)> {
        let (kind, bytes) = xdr::u32(bytes)?;
        let mut padded = [0; 12];
        let (code, rest) = match kind {
            AssetType::NATIVE => return Some((Self::Native, bytes)),
            AssetType::CREDIT_ALPHANUM4 => bytes.split_at_checked(4)?,
            AssetType::CREDIT_ALPHANUM12 => bytes.split_at_checked(12)?,
            _ => return None,
        };
        padded.get_mut(..code.len())?.copy_from_slice(code);
        let (issuer, rest) = xdr::array(xdr::arm(rest, PublicKeyType::ED25519)?)?;
        let long = kind == AssetType::CREDIT_ALPHANUM12;
        Some((Self::Credit { long, code: padded, issuer: *issuer }, rest))
    }

    /// The asset, if its code is one that an asset may have.
    pub fn named(&self) -> Option<Asset> {
        match self {
            Self::Native => Some(Asset::Native),
            Self::Credit { long, code, issuer } => {
                let code = Code::new(code).filter(|code| (code.as_str().len() > 4) == *long)?;
                Some(Asset::Credit { code, issuer: *issuer })
            }
        }
    }

    /// The asset's kind as every table names it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Credit { long: false, .. } => "credit_alphanum4",
            Self::Credit { long: true, .. } => "credit_alphanum12",
        }
    }

    /// The code without its padding; `None` for lumens.
    pub fn code(&self) -> Option<&[u8]> {
        let Self::Credit { code, .. } = self else { return None };
        let end = code.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        code.get(..end)
    }

    /// Who issues it; `None` for lumens.
    pub fn issuer(&self) -> Option<[u8; 32]> {
        match self {
            Self::Native => None,
            Self::Credit { issuer, .. } => Some(*issuer),
        }
    }

    /// The id of the asset's contract: sha256 of the HashIDPreimage with a
    /// ContractIDPreimage from the asset (CAP-46-02).
    pub fn contract_id(&self, network_id: &[u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(EnvelopeType::CONTRACT_ID.to_be_bytes());
        hash.update(network_id);
        hash.update(ContractIDPreimageType::ASSET.to_be_bytes());
        match self {
            Self::Native => hash.update(AssetType::NATIVE.to_be_bytes()),
            Self::Credit { long, code, issuer } => {
                let (kind, code) = match long {
                    true => (AssetType::CREDIT_ALPHANUM12, code.as_slice()),
                    false => (AssetType::CREDIT_ALPHANUM4, code.split_at(4).0),
                };
                hash.update(kind.to_be_bytes());
                hash.update(code);
                hash.update(PublicKeyType::ED25519.to_be_bytes());
                hash.update(issuer);
            }
        }
        hash.finalize().into()
    }
}

impl From<Asset> for RawAsset {
    fn from(asset: Asset) -> Self {
        match asset {
            Asset::Native => Self::Native,
            Asset::Credit { code, issuer } => {
                Self::Credit { long: code.as_str().len() > 4, code: code.0, issuer }
            }
        }
    }
}

/// An asset code: 1 to 12 ASCII letters and digits, padded with zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code([u8; 12]);

impl Code {
    /// Take a code with or without its padding; `None` where it is not one.
    pub fn new(code: &[u8]) -> Option<Self> {
        let end = code.iter().rposition(|&byte| byte != 0)? + 1;
        let code = code.get(..end)?;
        let mut padded = [0; 12];
        padded.get_mut(..end)?.copy_from_slice(code);
        code.iter().all(u8::is_ascii_alphanumeric).then_some(Self(padded))
    }

    /// The code without its padding.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(12);
        self.0.get(..end).and_then(|code| std::str::from_utf8(code).ok()).unwrap_or_default()
    }
}

impl Asset {
    /// Read `native` or `CODE:ISSUER`, as SEP-11 writes assets.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "native" {
            return Some(Self::Native);
        }
        let (code, issuer) = text.split_once(':')?;
        let issuer = strkey::decode(strkey::ACCOUNT, issuer)?;
        Some(Self::Credit { code: Code::new(code.as_bytes())?, issuer })
    }

    /// The id of the asset's contract.
    pub fn contract_id(&self, network_id: &[u8; 32]) -> [u8; 32] {
        RawAsset::from(*self).contract_id(network_id)
    }

    /// The asset that a contract instance's storage claims to be: its AssetInfo, as the Stellar
    /// Asset Contract writes it. Whether the claim is true only the contract id tells.
    pub fn of_instance(instance: Input<'_>) -> Option<Self> {
        let executable = xdr::arm(instance, SCValType::CONTRACT_INSTANCE)?;
        let storage = xdr::skip::<layout::ContractExecutable>(executable)?;
        let (true, map) = xdr::present(storage)? else { return None };
        let (count, mut entries) = xdr::u32(map)?;
        for _ in 0..count {
            let val = xdr::skip::<layout::SCVal>(entries)?;
            if xdr::between(entries, val) == ASSET_INFO {
                return Self::of_info(val);
            }
            entries = xdr::skip::<layout::SCVal>(val)?;
        }
        None
    }

    fn of_info(info: Input<'_>) -> Option<Self> {
        if info.starts_with(b"\0\0\0\x10\0\0\0\x01\0\0\0\x01\0\0\0\x0f\0\0\0\x06Native\0\0") {
            return Some(Self::Native);
        }
        let pair = info.strip_prefix(b"\0\0\0\x10\0\0\0\x01\0\0\0\x02\0\0\0\x0f")?;
        let (kind, map) = xdr::opaque(pair)?;
        let map = map.strip_prefix(b"\0\0\0\x11\0\0\0\x01\0\0\0\x02")?;
        let code = map.strip_prefix(b"\0\0\0\x0f\0\0\0\x0aasset_code\0\0\0\0\0\x0e")?;
        let (code, rest) = xdr::opaque(code)?;
        let issuer = rest.strip_prefix(b"\0\0\0\x0f\0\0\0\x06issuer\0\0\0\0\0\x0d")?;
        let issuer = xdr::opaque(issuer)?.0.try_into().ok()?;
        let width = match kind {
            b"AlphaNum4" => 4,
            b"AlphaNum12" => 12,
            _ => return None,
        };
        let code = Code::new(code).filter(|code| (code.as_str().len() > 4) == (width > 4))?;
        Some(Self::Credit { code, issuer })
    }
}

/// SCVal Vec[Symbol "AssetInfo"]
const ASSET_INFO: &[u8] = b"\0\0\0\x10\0\0\0\x01\0\0\0\x01\0\0\0\x0f\0\0\0\x09AssetInfo\0\0\0";

impl fmt::Display for Asset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => out.write_str("native"),
            Self::Credit { code, issuer } => {
                let issuer = strkey::encode(strkey::ACCOUNT, issuer);
                write!(out, "{}:{}", code.as_str(), String::from_utf8_lossy(&issuer))
            }
        }
    }
}
