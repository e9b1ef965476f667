(component
  (import "wasi:http/handler@0.3.0" (instance (export "handle" (func))))
  (core module $m (func (export "run")))
  (core instance $i (instantiate $m))
  (func (export "run") (canon lift (core func $i "run"))))
