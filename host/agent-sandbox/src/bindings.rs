//! Host bindings of our own WIT world (`wit/tool.wit`): what `hosts` implements and `call` invokes.

#![expect(missing_docs, unreachable_pub, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "tool",
    imports: { default: trappable },
    exports: { default: async },
});
