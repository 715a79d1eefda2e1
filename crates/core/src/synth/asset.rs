//! Classic assets and the Stellar Asset Contracts (SACs) that stand for them.

use super::dice::Dice;
use super::scval::Address;
use super::writer::{Hash, Writer, sha256};

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Strkey version byte of an ed25519 public key (SEP-23): 6 << 3, which shows as G.
const STRKEY_ACCOUNT: u8 = 6 << 3;
const TICKERS: [&str; 12] = [
    "USDC",
    "EURC",
    "AQUA",
    "yXLM",
    "BTC",
    "PHO",
    "Z",
    "GOLDCOIN",
    "yUSDC",
    "LONGTICKER12",
    "SHARES",
    "ETH",
];

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Asset {
    Native,
    Credit { code: String, issuer: Hash },
}

impl Asset {
    pub fn random(dice: &mut Dice) -> Self {
        let code = dice.pick(&TICKERS).to_owned();
        Self::Credit { code, issuer: dice.bytes() }
    }

    /// Width of the code field: AlphaNum4 or AlphaNum12.
    fn width(code: &str) -> usize {
        if code.len() <= 4 { 4 } else { 12 }
    }

    /// Write the Asset union; ChangeTrustAsset and TrustLineAsset share these arms.
    pub fn write(&self, w: &mut Writer) {
        match self {
            Self::Native => w.u32(0),
            Self::Credit { code, issuer } => {
                w.u32(if code.len() <= 4 { 1 } else { 2 });
                w.raw(&padded(code));
                w.public_key(issuer);
            }
        }
    }

    /// Name the asset as SEP-11 does: `native` or `CODE:ISSUER`.
    pub fn name(&self) -> String {
        match self {
            Self::Native => "native".to_owned(),
            Self::Credit { code, issuer } => format!("{code}:{}", account_strkey(issuer)),
        }
    }

    pub fn issuer(&self) -> Option<&Hash> {
        match self {
            Self::Native => None,
            Self::Credit { issuer, .. } => Some(issuer),
        }
    }

    /// Derive the id of the asset's SAC (CAP-46-6): it depends on the network.
    pub fn contract_id(&self, network: &Hash) -> Hash {
        let mut preimage = Writer::default();
        self.write_preimage(&mut preimage);
        contract_id(network, &preimage)
    }

    /// Write the ContractIDPreimage CONTRACT_ID_PREIMAGE_FROM_ASSET.
    pub fn write_preimage(&self, w: &mut Writer) {
        w.u32(1);
        self.write(w);
    }

    /// Write the instance storage of the SAC: METADATA, Admin (credit only), AssetInfo.
    pub fn write_storage(&self, w: &mut Writer) {
        let symbol = match self {
            Self::Native => "native",
            Self::Credit { code, .. } => code,
        };
        w.u32(1);
        w.u32(2 + u32::from(self.issuer().is_some()));
        w.symbol("METADATA");
        write_metadata(w, &self.name(), symbol);
        if let Some(issuer) = self.issuer() {
            w.sc_vec(1);
            w.symbol("Admin");
            w.sc_address(&Address::Account(*issuer));
        }
        w.sc_vec(1);
        w.symbol("AssetInfo");
        self.write_info(w);
    }

    fn write_info(&self, w: &mut Writer) {
        let Self::Credit { code, issuer } = self else {
            w.sc_vec(1);
            w.symbol("Native");
            return;
        };
        w.sc_vec(2);
        w.symbol(if Self::width(code) == 4 { "AlphaNum4" } else { "AlphaNum12" });
        w.sc_map(2);
        w.symbol("asset_code");
        w.sc_string(&padded(code));
        w.symbol("issuer");
        w.sc_bytes(issuer);
    }
}

fn write_metadata(w: &mut Writer, name: &str, symbol: &str) {
    w.sc_map(3);
    w.symbol("decimal");
    w.sc_u32(7);
    w.symbol("name");
    w.sc_string(name.as_bytes());
    w.symbol("symbol");
    w.sc_string(symbol.as_bytes());
}

/// Fill the code up with NULs, as AssetCode4, AssetCode12 and AssetInfo hold it.
fn padded(code: &str) -> Vec<u8> {
    let mut bytes = code.as_bytes().to_vec();
    bytes.resize(Asset::width(code), 0);
    bytes
}

/// Hash a HashIDPreimage of ENVELOPE_TYPE_CONTRACT_ID (8).
pub(super) fn contract_id(network: &Hash, preimage: &Writer) -> Hash {
    sha256(&[&8_u32.to_be_bytes(), network, &preimage.0])
}

/// Write the ContractIDPreimage CONTRACT_ID_PREIMAGE_FROM_ADDRESS.
pub(super) fn write_deployer_preimage(w: &mut Writer, deployer: &Address, salt: &Hash) {
    w.u32(0);
    w.address(deployer);
    w.raw(salt);
}

/// Spell an account as SEP-23 does: base32 of version, key and CRC-16/XMODEM, low byte first.
fn account_strkey(key: &Hash) -> String {
    let mut bytes = vec![STRKEY_ACCOUNT];
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&crc16(&bytes).to_le_bytes());
    let mut text = String::with_capacity(56);
    for five in bytes.chunks(5) {
        let group = five.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        text.extend((0..8).rev().map(|i| char::from(BASE32[(group >> (5 * i)) as usize & 31])));
    }
    text
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    })
}
