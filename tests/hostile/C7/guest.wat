(component $outer
  ;; What the inner component calls back: an export of the outer one.
  (core module $back
    (table (export "table") 1 funcref)
    (type $nothing (func))
    (func (export "back") (call_indirect (type $nothing) (i32.const 0))))
  (core instance $back (instantiate $back))
  (func $back (canon lift (core func $back "back")))
  (component $inner
    (import "back" (func $back))
    (core func $back (canon lower (func $back)))
    (core module $m
      (import "" "back" (func $back))
      (func (export "go") (call $back)))
    (core instance $i (instantiate $m (with "" (instance (export "back" (func $back))))))
    (func (export "go") (canon lift (core func $i "go"))))
  (instance $inner (instantiate $inner (with "back" (func $back))))
  (core func $go (canon lower (func $inner "go")))
  (core module $m
    (import "" "go" (func $go))
    (import "" "table" (table 1 funcref))
    (elem (i32.const 0) $run)
    (func $run (export "run") (call $go)))
  (core instance $i (instantiate $m
    (with "" (instance (export "go" (func $go)) (export "table" (table $back "table"))))))
  (func (export "run") (canon lift (core func $i "run"))))
