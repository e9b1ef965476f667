(component
  (core module $destructor
    (func (export "destroy") (param i32) (loop $again (br $again))))
  (core instance $d (instantiate $destructor))
  (alias core export $d "destroy" (core func $destroy))
  (type $r (resource (rep i32) (dtor (core func $destroy))))
  (core func $new (canon resource.new $r))
  (core func $drop (canon resource.drop $r))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (call $drop (call $new (i32.const 1)))))
  (core instance $i (instantiate $m
    (with "" (instance (export "new" (func $new)) (export "drop" (func $drop))))))
  (func (export "run") (canon lift (core func $i "run"))))
