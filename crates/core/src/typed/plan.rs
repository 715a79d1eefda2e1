//! All typed tables of some contracts, compiled once: which there are, their columns, and where what
//! goes.

use std::collections::HashMap;

use super::compiler::{Compiled, Compiler};
use super::history::{Executable, History};
use super::knowledge::{Hash, Knowledge};
use super::routes::Version;
use super::typed_table::{Spec, Target, TypedTable};
use crate::fixed_text::hex;
use crate::values::strkey;

const UNSEEN: &str = "its instance is not in these ledgers, so it is not known which code it runs";
const UNNAMED: &str = "another contract names the code it runs (CAP-85), and that is not in these \
                       ledgers";

/// The plan.
#[derive(Default)]
pub struct Plan {
    /// All tables.
    pub tables: Vec<TypedTable>,
    /// What is not known: of whom, and why.
    pub lacking: Vec<(String, String)>,
    pub(super) versions: Vec<Version>,
    pub(super) targets: Vec<Target>,
    /// Targets that are a contract.
    pub(super) contracts: HashMap<Hash, usize>,
    /// Targets that are code.
    pub(super) wasms: HashMap<Hash, usize>,
    pub(super) histories: HashMap<Hash, History>,
}

impl Plan {
    /// Compile what is known of the targets.
    pub fn of(knowledge: &Knowledge) -> Self {
        let resolved = |(id, history): (&Hash, &History)| (*id, knowledge.resolved(history));
        let histories = knowledge.histories.iter().map(resolved).collect();
        let mut made = Self { histories, ..Self::default() };
        let mut compiled = Compiled::default();
        let mut contracts: Vec<_> = knowledge.targets.contracts.iter().copied().collect();
        contracts.sort_unstable();
        for contract in contracts {
            let history = made.histories.get(&contract);
            let specs = history.map(History::executables).unwrap_or_default();
            let id = strkey::encode(strkey::CONTRACT, &contract);
            let name = String::from_utf8_lossy(&id).into_owned();
            if specs.is_empty() {
                let told = knowledge.histories.get(&contract);
                let is_external = told.is_some_and(History::is_external);
                let reason = if is_external { UNNAMED } else { UNSEEN };
                compiled.lacking.push((name.clone(), reason.into()));
            }
            let specs = specs.into_iter().flat_map(|(one, _)| specs_of(one)).collect();
            let target = Compiler::new(knowledge, &mut compiled, name).target(specs, &[contract]);
            made.contracts.insert(contract, made.targets.len());
            made.targets.push(target);
        }
        let mut wasms: Vec<_> = knowledge.targets.wasms.iter().copied().collect();
        wasms.sort_unstable();
        for wasm in wasms {
            let name = String::from_utf8_lossy(&hex(&wasm)).into_owned();
            let runners = knowledge.runners(&wasm);
            let target = Compiler::new(knowledge, &mut compiled, name)
                .target(vec![Spec::Wasm(wasm)], &runners);
            made.wasms.insert(wasm, made.targets.len());
            made.targets.push(target);
        }
        let Compiled { tables, versions, lacking, .. } = compiled;
        Self { tables, versions, lacking, ..made }
    }
}

fn specs_of(executable: Executable) -> Vec<Spec> {
    match executable {
        Executable::Wasm(hash) => vec![Spec::Wasm(hash)],
        Executable::StellarAsset => vec![Spec::Asset(false), Spec::Asset(true)],
        Executable::External(_) => Vec::new(),
    }
}
