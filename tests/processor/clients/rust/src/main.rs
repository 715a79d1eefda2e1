//! A Flight client; ../README.md says what it is asked and what it prints.

use std::error::Error;

use arrow_flight::decode::DecodedPayload;
use arrow_flight::{FlightClient, FlightDescriptor, Ticket};
use arrow_json::writer::{JsonArray, WriterBuilder};
use futures::StreamExt;
use serde_json::value::RawValue;
use serde_json::{json, Value};
use tonic::transport::Endpoint;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [address, asked, compression, most] = given.as_slice() else {
        return Err("client ADDRESS DESCRIPTOR COMPRESSION BATCHES".into());
    };
    let channel = Endpoint::new(format!("http://{address}"))?.connect().await?;
    let mut client = FlightClient::new(channel);
    client.add_header("compression", compression)?;
    let descriptor = if asked.starts_with('{') {
        FlightDescriptor::new_cmd(asked.clone())
    } else {
        FlightDescriptor::new_path(asked.split('/').map(str::to_owned).collect())
    };
    let schema = client.get_schema(descriptor.clone()).await?;
    let info = client.get_flight_info(descriptor).await?;
    if info.clone().try_decode_schema()? != schema {
        return Err(format!("GetFlightInfo and GetSchema differ: {schema:?}").into());
    }
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    println!("{}", json!({"columns": columns, "metadata": schema.metadata()}));
    for endpoint in info.endpoint {
        let ticket = endpoint.ticket.ok_or("an endpoint without a ticket")?;
        read(&mut client, ticket, most.parse()?).await?;
    }
    Ok(())
}

async fn read(client: &mut FlightClient, ticket: Ticket, most: usize) -> Outcome<()> {
    let mut stream = client.do_get(ticket).await?.into_inner();
    let mut taken = 0;
    while let Some(decoded) = stream.next().await {
        let decoded = decoded?;
        let DecodedPayload::RecordBatch(batch) = decoded.payload else {
            continue;
        };
        let mut rows = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
        rows.write(&batch)?;
        rows.finish()?;
        let told: Value = serde_json::from_slice(&decoded.inner.app_metadata)?;
        // As they were written: a parser in between would round what is larger than a double holds.
        let rows = match batch.num_rows() {
            0 => RawValue::from_string("[]".to_owned())?,
            _ => RawValue::from_string(String::from_utf8(rows.into_inner())?)?,
        };
        println!("{{\"told\": {told}, \"rows\": {rows}}}");
        taken += 1;
        if taken == most {
            break;
        }
    }
    Ok(())
}
