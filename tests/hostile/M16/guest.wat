(component
  (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $pollable'))
    (export "pollable" (type $p (eq $pollable')))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  (type $r (resource (rep i32)))
  (core func $new (canon resource.new $r))
  (core func $timer (canon lower (func $clock "subscribe-duration")))
  (core module $m
    (import "" "timer" (func $timer (param i64) (result i32)))
    (import "" "new" (func $new (param i32) (result i32)))
    (memory (export "memory") 1)
    (table 1 funcref)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
    (func (export "run") (param i32 i32) (local $left i32)
      (drop (memory.grow (i32.const 127)))
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x800000))
      (drop (table.grow (ref.null func) (i32.const 10000)))
      (local.set $left (i32.const 200))
      (loop $again
        (drop (call $timer (i64.const 1000000000000)))
        (drop (call $new (i32.const 1)))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
  (core instance $i (instantiate $m
    (with "" (instance (export "timer" (func $timer)) (export "new" (func $new))))))
  (func (export "run") (param "n" string)
    (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
