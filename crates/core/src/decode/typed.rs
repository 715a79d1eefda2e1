//! Ledgers in, typed tables out.

use arrow_array::RecordBatch;

use super::{Decoder, Request, Run};
use crate::error::{Result, invalid};
use crate::typed::{Builder, Knowledge, Learner, Plan};

/// Learn of contracts from all ledgers of the data.
pub fn learn(data: &[u8], request: &Request, knowledge: &mut Knowledge) -> Result<()> {
    let learner = Learner::new(knowledge, request.network_id());
    Decoder::with(request, learner).push(data)
}

/// Decode all ledgers of the data: a batch for each table of the plan that is wanted, in their order,
/// `None` where it has no rows.
pub fn decode(
    data: &[u8],
    request: &Request,
    plan: &Plan,
    wanted: &[bool],
) -> Result<(Vec<Option<RecordBatch>>, Option<Run>)> {
    let mut decoder = Decoder::with(request, Builder::new(plan, wanted));
    decoder.push(data)?;
    let (mut builder, run) = decoder.into_parts();
    Ok((builder.finish().map_err(invalid)?, run))
}
