"""The CNN lesson (four convolutions of 64) as a bare script; prints its timers."""

import numpy as np
from common import Timers, epochs_or, load_mnist
from keras.layers import Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.utils import to_categorical

timers = Timers()
timers.start("data-load")
(x_train, y_train), (x_test, y_test) = load_mnist()
timers.stop("data-load")

y_train = to_categorical(y_train)
y_test = to_categorical(y_test)
x_train = np.reshape(x_train, [-1, 28, 28, 1]).astype("float32") / 255
x_test = np.reshape(x_test, [-1, 28, 28, 1]).astype("float32") / 255

batch_size = 128
model = Sequential()
model.add(Conv2D(64, 3, activation="relu", input_shape=(28, 28, 1), padding="same"))
model.add(MaxPooling2D(2))
model.add(Conv2D(64, 3, activation="relu", padding="same"))
model.add(MaxPooling2D(2))
model.add(Conv2D(64, 3, activation="relu", padding="same"))
model.add(MaxPooling2D(2))
model.add(Conv2D(64, 3, activation="relu"))
model.add(Flatten())
model.add(Dropout(0.2))
model.add(Dense(10))
model.add(Activation("softmax"))

timers.start("compile")
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
timers.stop("compile")
timers.start("train")
model.fit(x_train, y_train, epochs=epochs_or(10), batch_size=batch_size)
timers.stop("train")
timers.start("test")
loss, accuracy = model.evaluate(x_test, y_test, batch_size=batch_size)
timers.stop("test")
timers.report(accuracy, int(model.optimizer.iterations))
