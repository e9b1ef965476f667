(component
  (import "wasi:random/random@0.2.99" (instance (export "get-dice" (func (result u8)))))
  (core module $m (func (export "run")))
  (core instance $i (instantiate $m))
  (func (export "run") (canon lift (core func $i "run"))))
