//! Signatures of requests to services of Amazon beside S3, by the credentials with which a bucket is read.

use std::sync::Arc;

use hyper::{Request, header::HeaderMap};
use object_store::{
    aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer, AwsCredentialProvider},
    client::HttpRequestBody,
};

use super::{
    backend::{client_options, known, unusable},
    error::Error,
    refusal::Refusal,
    settings::{Bucket, Location},
};

/// Signs requests.
pub(crate) struct Signer {
    credentials: AwsCredentialProvider,
    location: String,
}

impl Signer {
    /// A signer with the credentials of `bucket`: configured ones, or those that this machine has.
    pub(crate) fn open(bucket: &Bucket) -> Result<Self, Error> {
        let location = Location::Bucket(bucket.clone()).shown();
        let mut builder = AmazonS3Builder::new().with_client_options(client_options(bucket)?);
        for (key, value) in known::<AmazonS3ConfigKey>(bucket) {
            builder = builder.with_config(key, value);
        }
        let client = builder.with_bucket_name(&bucket.name).build();
        let client = client.map_err(|source| unusable(location.clone(), &source))?;
        Ok(Self { credentials: Arc::clone(client.credentials()), location })
    }

    /// The headers of a request, those that sign it among them.
    pub(crate) async fn sign(
        &self,
        (service, region): (&str, &str),
        url: &str,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Result<HeaderMap, Error> {
        let refused = |source: &object_store::Error| Error::NoCredentials {
            service: super::Service::S3,
            location: self.location.clone(),
            detail: Refusal::of(source).detail,
        };
        let credential = self.credentials.get_credential().await.map_err(|source| refused(&source))?;
        let mut request = Request::post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(HttpRequestBody::from(body.to_owned()));
        let unusable = |detail: String| Error::Unusable { location: self.location.clone(), detail };
        let mut request = request.map_err(|error| unusable(error.to_string()))?;
        let authorizer = AwsAuthorizer::new(&credential, service, region);
        authorizer.try_authorize(&mut request, None).map_err(|source| refused(&source))?;
        Ok(request.into_parts().0.headers)
    }
}
