//! Host bindings of our own WIT world (`wit/tool.wit`): what `hosts` implements and `call` invokes.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "tool",
    imports: { default: trappable },
    exports: { default: async },
});

/// What a component may offer beside its tools: to find out what became of a call in doubt. `reconcile` asks.
pub(crate) mod reconciler {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "reconciler",
        exports: { default: async },
    });
}

/// The world of key-value stores: what `hosts::kv` implements.
pub(crate) mod keyvalue {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "keyvalue",
        imports: { default: async | trappable },
        trappable_error_type: { "wasi:keyvalue/store.error" => crate::hosts::kv::KvError },
        with: { "wasi:keyvalue/store.bucket": crate::hosts::kv::Bucket },
    });
}
