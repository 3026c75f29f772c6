module shop.example/till

go 1.19
