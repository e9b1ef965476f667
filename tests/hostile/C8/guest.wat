(component
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
  (core func $now (canon lower (func $clock "now")))
  (core module $m
    (import "" "now" (func $now (result i64)))
    (func (export "run") (local $left i32)
      (local.set $left (i32.const 100000000))
      (loop $again
        (drop (call $now))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
  (core instance $i (instantiate $m (with "" (instance (export "now" (func $now))))))
  (func (export "run") (canon lift (core func $i "run"))))
