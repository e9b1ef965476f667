(component
  (core module $m
    (memory 1)
    (func $f (export "run") (call $f))
    (func $g (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)
      (i64.add
        (call $g (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6) (local.get 7)
          (i64.add (local.get 0) (i64.const 1)))
        (local.get 3)))
    (func (export "wide")
      (drop (call $g (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7)
        (i64.const 8)))))
  (core instance $i (instantiate $m))
  (func (export "run") (canon lift (core func $i "run")))
  (func (export "wide") (canon lift (core func $i "wide"))))
