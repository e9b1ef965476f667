//! `export!`: makes a component of a crate's operations.

/// Exports operations as the tool component of this crate. Write it once, in `lib.rs`.
///
/// With `; reconcile = function` after them, a function that finds out what became of a call: see
/// [`reconcile`](crate::reconcile). Two operations of one name do not compile. On native builds it only checks the names, so that unit tests link.
///
/// ```
/// /// Says hello.
/// #[agent_host_tool::tool]
/// fn hello() -> &'static str {
///     "hello"
/// }
///
/// agent_host_tool::export!(hello);
/// # fn main() {}
/// ```
///
/// ```compile_fail
/// mod inner {
///     /// Also says hello.
///     #[agent_host_tool::tool(name = "hello")]
///     pub fn hello_again() -> &'static str {
///         "hello again"
///     }
/// }
/// # /// Says hello.
/// # #[agent_host_tool::tool]
/// # fn hello() -> &'static str {
/// #     "hello"
/// # }
/// agent_host_tool::export!(hello, inner::hello_again);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    ($($operation:path),+ $(,)?; reconcile = $find_out:path) => {
        $crate::export!($($operation),+);

        const _: fn(&$crate::reconcile::Doubtful) -> $crate::reconcile::Finding = $find_out;

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Reconciler;

            impl $crate::reconcile::bindings::Guest for Reconciler {
                fn reconcile(
                    name: ::std::string::String,
                    arguments: ::std::string::String,
                    write: $crate::reconcile::bindings::WitWrite,
                ) -> $crate::reconcile::bindings::WitFinding {
                    $crate::reconcile::bindings::ask($find_out, name, arguments, write)
                }
            }

            $crate::reconcile::bindings::export_reconciler!(Reconciler with_types_in $crate::reconcile::bindings);
        };
    };
    ($($operation:path),+ $(,)?) => {
        const _: () = assert!(
            $crate::names_differ(&[$(<$operation as $crate::Operation>::NAME),+]),
            "two operations have the same name"
        );

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Component;

            impl $crate::bindings::Guest for Component {
                fn list_tools() -> ::std::vec::Vec<$crate::bindings::ToolInfo> {
                    ::std::vec![$($crate::bindings::tool_info::<$operation>()),+]
                }

                fn call_tool(
                    name: ::std::string::String,
                    arguments: ::std::string::String,
                ) -> ::std::result::Result<::std::vec::Vec<$crate::bindings::WitPart>, ::std::string::String> {
                    $(if name == <$operation as $crate::Operation>::NAME {
                        let outcome = <$operation as $crate::Operation>::call(&arguments);
                        return outcome.map($crate::bindings::parts);
                    })+
                    Err(::std::format!("this tool has no operation `{name}`"))
                }
            }

            $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        };
    };
}

/// Whether no name comes twice. `const`, for `export!`.
#[doc(hidden)]
#[must_use]
pub const fn names_differ(names: &[&str]) -> bool {
    let mut first = 0;
    while first < names.len() {
        let mut second = first + 1;
        while second < names.len() {
            if same(names[first].as_bytes(), names[second].as_bytes()) {
                return false;
            }
            second += 1;
        }
        first += 1;
    }
    true
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut index = 0;
    while index < a.len() && index < b.len() && a[index] == b[index] {
        index += 1;
    }
    index == a.len() && index == b.len()
}

#[cfg(test)]
mod tests {
    use super::names_differ;

    #[test]
    fn equal_names_are_noticed() {
        assert!(names_differ(&["read", "rea", "write", "readd"]));
        assert!(!names_differ(&["read", "write", "read"]));
    }
}
