//! `larder token mint`: an access token for trying an issuer's configuration out.

use super::{
    args::{ConfigArguments, MintToken},
    exit::Exit,
    output::{Failure, print},
    session,
};
use crate::{
    admin::{self, Binding, NewToken},
    support::clock::Clock,
};

pub(super) fn mint(config: &ConfigArguments, arguments: MintToken) -> Result<Exit, Failure> {
    let config = session::load(config)?;
    let given = |values: Vec<_>| (!values.is_empty()).then_some(values);
    let new = NewToken {
        subject: arguments.subject,
        binding: Binding {
            collections: (!arguments.collections.is_empty()).then_some(arguments.collections),
            record_index: arguments.record_index,
            fields: given(arguments.fields),
            without_fields: given(arguments.without_fields),
        },
        key_id: arguments.key_id,
        lifetime: arguments.expires,
    };
    let private_key = arguments.private_key_file.as_deref();
    print(&admin::mint_token(&config.tokens, &arguments.issuer, &new, private_key, &Clock::default())?)?;
    Ok(Exit::Success)
}
