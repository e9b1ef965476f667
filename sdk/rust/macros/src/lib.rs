//! The attribute macros of `agent-host-tool`: [`macro@tool`] turns a function into an operation, [`macro@args`] makes a
//! type usable in its arguments. Use them through `agent-host-tool`, which re-exports and documents them with examples.

mod name;
mod operation;

use proc_macro::TokenStream;
use quote::quote;
use syn::parse_macro_input;

/// Turns a function into an operation of the tool: name, description, input schema and the call itself.
///
/// The function takes nothing, or one argument whose type has [`macro@args`]. The doc comment is what the model reads when
/// it chooses, so it is required. `#[tool(name = "…")]` gives the operation another name than the function's.
#[proc_macro_attribute]
pub fn tool(options: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(options as operation::Options);
    let function = parse_macro_input!(item as syn::ItemFn);
    operation::expand(options, &function).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct or enum usable in arguments: it can be read from JSON, has a JSON Schema, and refuses unknown fields.
/// Doc comments of its fields become the descriptions in the schema.
#[proc_macro_attribute]
pub fn args(_options: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::DeriveInput);
    quote! {
        #[derive(::agent_host_tool::serde::Deserialize, ::agent_host_tool::schemars::JsonSchema)]
        #[serde(crate = "::agent_host_tool::serde", deny_unknown_fields)]
        #[schemars(crate = "::agent_host_tool::schemars")]
        #item
    }
    .into()
}
