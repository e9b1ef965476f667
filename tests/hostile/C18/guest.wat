(component
  (core module $m
    (memory 1)
    ;; 1.5 in the last eight bytes of the memory: a wider load would leave it.
    (func $store (f64.store (i32.const 65528) (f64.const 1.5)))
    (func (export "splat") (result i64)
      (call $store)
      (i64x2.extract_lane 1 (f64x2.splat (f64.load (i32.const 65528)))))
    (func (export "sign") (result i64)
      (call $store)
      (i64.reinterpret_f64 (f64.copysign (f64.load (i32.const 65528)) (f64.const -1))))
    (func (export "nan") (result i64)
      (i64.reinterpret_f64 (f64.add (f64.const nan:0x8000000000123) (f64.const 1)))))
  (core instance $i (instantiate $m))
  (func (export "splat") (result u64) (canon lift (core func $i "splat")))
  (func (export "sign") (result u64) (canon lift (core func $i "sign")))
  (func (export "nan") (result u64) (canon lift (core func $i "nan"))))
