//! What is compared.

/// One side of the comparison.
pub(crate) trait Side: Send + Sync + 'static {
    /// Makes one call and waits for its result.
    fn call(&self) -> impl Future<Output = ()> + Send;
}
