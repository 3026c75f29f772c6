<?php

// Ends as PHP ends what nobody caught.

require __DIR__ . '/shop.php';

Shop\nested();
