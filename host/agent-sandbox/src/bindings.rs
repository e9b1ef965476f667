//! Host bindings of our own WIT world (`wit/tool.wit`): what `hosts` implements and `call` invokes.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "tool",
    imports: { default: trappable },
    exports: { default: async },
});
