//! `larder migrate`: the metadata database's schema.

use super::{
    args::ConfigArguments,
    exit::Exit,
    output::{Failure, print},
    session,
};
use crate::metadata::Metadata;

pub(super) async fn run(config: &ConfigArguments) -> Result<Exit, Failure> {
    let config = session::load(config)?;
    session::publishes(&config)?;
    let Some(settings) = &config.metadata else {
        return Err(Failure::Usage("[metadata] url is not set".to_owned()));
    };
    Metadata::migrate(settings).await?;
    print("the metadata database is up to date")?;
    Ok(Exit::Success)
}
