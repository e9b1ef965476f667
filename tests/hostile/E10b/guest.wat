(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $pollable'))
    (export "pollable" (type $p (eq $pollable')))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $now (canon lower (func $clock "now")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core module $m
    (import "" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "" "block" (func $block (param i32)))
    (import "" "now" (func $now (result i64)))
    (func $wait (param $ns i64) (call $block (call $subscribe (local.get $ns))))
    (func (export "run") (result i64) (local $start i64)
      (local.set $start (call $now))
      (call $wait (i64.const 1))
      (call $wait (i64.const 1000001))
      (call $wait (i64.const 2000000))
      (i64.sub (call $now) (local.get $start))))
  (core instance $i (instantiate $m
    (with "" (instance (export "subscribe" (func $subscribe)) (export "block" (func $block)) (export "now" (func $now))))))
  (func (export "run") (result u64) (canon lift (core func $i "run"))))
