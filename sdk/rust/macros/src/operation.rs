//! `#[tool]`: from one function to one implementation of `agent_host_tool::Operation`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, FnArg, Ident, ItemFn, Lit, LitStr, Meta, ReturnType, Token, Type};

use crate::name;

/// Longest description in bytes; the host refuses a longer one.
const DESCRIPTION_BYTES_MAX: usize = 2 * 1024;

/// What stands in the parentheses of `#[tool(…)]`.
pub(crate) struct Options {
    /// The operation's name where it is not the function's.
    name: Option<LitStr>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.is_empty() {
            return Ok(Self { name: None });
        }
        let key: Ident = input.parse()?;
        if key != "name" {
            return Err(Error::new(key.span(), format!("unknown option `{key}`: the only one is `name = \"…\"`")));
        }
        input.parse::<Token![=]>()?;
        Ok(Self { name: Some(input.parse()?) })
    }
}

/// The function as it was, and beside it a type of the same name that describes and calls it. A function lives among the
/// values and a struct with braces among the types, so both can be imported, exported and tested under one name.
pub(crate) fn expand(options: Options, function: &ItemFn) -> syn::Result<TokenStream> {
    let ident = &function.sig.ident;
    let visibility = &function.vis;
    refuse_unsupported(function)?;
    let name = operation_name(options, ident)?;
    let doc = description(&function.attrs, ident)?;
    let no_arguments: Type = syn::parse_quote!(::agent_host_tool::arguments::NoArgs);
    let arguments_type = argument_type(function)?;
    let ty = arguments_type.unwrap_or(&no_arguments);
    // Also a function without arguments has them read: an unknown one is refused.
    let given = arguments_type.map(|_| quote!(__given));
    let unused = arguments_type.is_none().then(|| quote!(let _ = __given;));
    let output_schema = output_schema(&function.sig.output);
    let call = match function.sig.asyncness {
        None => quote!(#ident(#given)),
        Some(_) => quote!(::agent_host_tool::task::block_on(#ident(#given))),
    };
    Ok(quote! {
        // The arguments are read for this call alone: there is nobody to borrow them from.
        #[allow(clippy::needless_pass_by_value)]
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility struct #ident {}

        impl ::agent_host_tool::Operation for #ident {
            const NAME: &'static str = #name;

            fn description() -> ::std::string::String {
                ::agent_host_tool::schema::reflow(#doc)
            }

            fn input_schema() -> ::agent_host_tool::serde_json::Value {
                ::agent_host_tool::schema::of::<#ty>()
            }

            #output_schema

            fn call(
                __arguments: &str,
            ) -> ::std::result::Result<::std::vec::Vec<::agent_host_tool::Part>, ::std::string::String> {
                let __given = ::agent_host_tool::arguments::parse::<#ty>(__arguments)?;
                #unused
                ::agent_host_tool::IntoOutcome::into_outcome(#call)
            }
        }
    })
}

/// The schema of what it returns. A type without a name of its own (`impl …`) has none that could be asked for here.
fn output_schema(output: &ReturnType) -> Option<TokenStream> {
    let ReturnType::Type(_, ty) = output else { return None };
    if matches!(**ty, Type::ImplTrait(_)) {
        return None;
    }
    Some(quote! {
        fn output_schema() -> ::std::option::Option<::agent_host_tool::serde_json::Value> {
            #[allow(unused_imports)]
            use ::agent_host_tool::returns::Otherwise as _;
            ::agent_host_tool::returns::Returns::<#ty>::output_schema()
        }
    })
}

fn refuse_unsupported(function: &ItemFn) -> syn::Result<()> {
    let signature = &function.sig;
    if !signature.generics.params.is_empty() {
        return Err(Error::new(signature.generics.span(), "a tool function is not generic: its schema is fixed"));
    }
    Ok(())
}

fn operation_name(options: Options, ident: &Ident) -> syn::Result<String> {
    let (name, span) = match options.name {
        Some(literal) => (literal.value(), literal.span()),
        None => (ident.to_string(), ident.span()),
    };
    match name::problem(&name) {
        None => Ok(name),
        Some(problem) => Err(Error::new(span, format!("{problem}; say another with `#[tool(name = \"…\")]`"))),
    }
}

fn description(attributes: &[Attribute], ident: &Ident) -> syn::Result<String> {
    let lines: Vec<String> = attributes.iter().filter_map(doc_line).collect();
    let text = lines.join("\n").trim().to_owned();
    if text.is_empty() {
        return Err(Error::new(ident.span(), format!("`{ident}` needs a doc comment: the model chooses a tool by it")));
    }
    if text.len() > DESCRIPTION_BYTES_MAX {
        let said = format!("the doc comment has {} bytes, a description at most {DESCRIPTION_BYTES_MAX}", text.len());
        return Err(Error::new(ident.span(), said));
    }
    Ok(text)
}

fn doc_line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    if !pair.path.is_ident("doc") {
        return None;
    }
    let Expr::Lit(literal) = &pair.value else { return None };
    let Lit::Str(text) = &literal.lit else { return None };
    let text = text.value();
    Some(text.strip_prefix(' ').unwrap_or(&text).to_owned())
}

fn argument_type(function: &ItemFn) -> syn::Result<Option<&Type>> {
    let inputs = &function.sig.inputs;
    if inputs.len() > 1 {
        let said = "a tool function takes one argument: a struct with `#[args]`, whose fields the model fills in";
        return Err(Error::new(inputs.span(), said));
    }
    match inputs.first() {
        None => Ok(None),
        Some(FnArg::Typed(argument)) => Ok(Some(&argument.ty)),
        Some(FnArg::Receiver(receiver)) => {
            Err(Error::new(receiver.span(), "a tool function is a free function, not a method"))
        }
    }
}
